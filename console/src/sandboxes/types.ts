// Sandboxes as /v1/sandboxes tells of them.
export type SandboxState = "creating" | "ready" | "executing" | "paused" | "ending" | "ended";

export interface Sandbox {
  id: string;
  state: SandboxState;
  created_at: number;
  name: string;
  agent: string;
  isolation: string;
  backend: string;
  enforced_by: string[];
  limits: {
    cpus: number;
    memory_bytes: number;
    processes_max: number;
    workspace_bytes: number;
    lifetime_ms: number;
    idle_timeout_ms: number;
  };
  network: { mode: string; allow_domains: string[] };
  labels: Record<string, string>;
  policy: string;
  usage: { memory_bytes: number; cpu_us: number; execs: number; running: number };
}

export interface SandboxList {
  data: Sandbox[];
}

export interface ExecEnd {
  reason: string;
  exit_code: number;
  signal: number;
  output_dropped: number;
  wall_us: number;
  cpu_us: number;
  peak_memory_bytes: number;
}

export interface HostFact {
  primitive: string;
  finding: "works" | "weaker" | "missing";
  detail: string;
  consequence: string;
}

export interface HostReport {
  as_root: boolean;
  levels: string[];
  facts: HostFact[];
}

export interface FileEntry {
  name: string; // for people: bytes that are no text are written \xHH
  path: string; // the same, as it stands in an URL
  type: "file" | "folder" | "link" | "other";
  bytes: number;
  mode: string;
  modified_at_ms: number;
  link_target?: string;
}

export interface FileList {
  data: FileEntry[];
  truncated: boolean;
}

export interface AuditEvent {
  seq: number;
  time: string | number;
  event: string;
  decision?: string;
  policy?: string;
  rule?: string;
  reason?: string;
  what?: unknown;
}

export interface AuditList {
  events: AuditEvent[];
}

export interface PolicyList {
  data?: { name: string }[];
}

export interface Snapshot {
  id: string;
  name: string;
  from: string;
  created_at: number;
  bytes: number;
  entries: number;
  persist: boolean;
}

export interface SnapshotList {
  data: Snapshot[];
}

export const languages = ["python", "node", "bash"] as const;
export type Language = (typeof languages)[number];

export interface Session {
  id: string;
  language: Language;
  version: string;
  state: string;
  cells: number;
  forked_from?: string;
}

export interface SessionList {
  data: Session[];
}

export interface CellAnswer {
  number: number;
  status: string;
  stdout: string;
  stderr: string;
  duration_ms: number;
  result?: { "text/plain": string };
  error?: { name: string; message: string; traceback: string };
}
