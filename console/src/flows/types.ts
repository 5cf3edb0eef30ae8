// Workflows as /v1/workflows, /v1/runs and /v1/flow/health tell of them.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export const runStatuses = ["running", "paused", "undoing", "completed", "failed", "cancelled"] as const;
export type RunStatus = (typeof runStatuses)[number];
export const stepStatuses = ["pending", "running", "backoff", "waiting", "open", "done", "skipped", "failed", "cancelled"] as const;
export type StepStatus = (typeof stepStatuses)[number];

export interface RunHead {
  id: string;
  workflow: string;
  version: number;
  status: RunStatus;
  started_unix_ms: number;
  updated_unix_ms: number;
  finished_unix_ms?: number;
  due_unix_ms?: number;
  parent?: string;
  labels?: Record<string, Json>;
  error?: string;
  waiting?: string[];
  forked_from?: string;
  totals?: { steps: number; attempts: number; tokens: number; cost_usd: number; working_ms: number; waiting_ms: number };
}

export interface RunPage {
  data: RunHead[];
  has_more: boolean;
}

export interface RunCounts {
  total: number;
  waiting: number;
  status: Record<RunStatus, number>;
}

export interface Fault {
  code: string;
  message: string;
  subject?: string;
}

export interface StepView {
  id: string;
  status: StepStatus;
  attempt?: number;
  resets?: number;
  started_ms?: number;
  finished_ms?: number;
  until_ms?: number;
  name?: string; // the signal it waits for, the arm it took, the run it started
  output?: Json; // of a step that waits for a person: what they are shown
  error?: Fault;
  items?: Json[];
  rounds?: number;
  rounds_done?: number;
  scopes?: ScopeView[];
}

export interface ScopeView {
  key: string;
  index?: number;
  item?: Json;
  closed?: boolean;
  failed?: boolean;
  steps: StepView[];
}

export interface RunView {
  id: string;
  status: RunStatus;
  workflow: string;
  version: number;
  reason?: string;
  started_ms: number;
  finished_ms?: number;
  input: Json;
  labels?: Record<string, Json>;
  vars?: Record<string, Json>;
  output?: Json;
  error?: Fault;
  parent?: { run: string; step: string };
  forked_from?: { run: string; step: string };
  usage: { tokens: number; cost_usd: number; steps: number };
  events: number;
  root?: ScopeView;
}

export interface RunEvent {
  place: number; // from 1, of the event within its run
  event: string;
  at_ms: number;
  step?: string;
  name?: string;
  attempt?: number;
  number?: number;
  until_ms?: number;
  tokens?: number;
  cost_usd?: number;
  value?: Json;
  error?: Fault;
}

export interface GraphNode {
  id: string;
  kind: string;
  title: string;
  outer: string; // the step that holds it; empty at the top
  arm: string;
  conditional: boolean;
  line: number;
}

export interface GraphEdge {
  from: string;
  to: string;
  kind: "after" | "inside" | "jump";
  label: string;
}

export interface Graph {
  name: string;
  nodes: GraphNode[];
  edges: GraphEdge[];
}

export interface RunGraph extends Graph {
  version: number;
  document: Json;
}

export interface WorkflowHead {
  name: string;
  version: number;
  hash: string;
  description: string;
  created_unix_ms: number;
}

export interface Workflow extends WorkflowHead {
  versions: { version: number; created_unix_ms: number }[];
  source: string;
  document: { [name: string]: Json };
}

export interface Finding {
  weight: "note" | "blocks";
  step: string;
  message: string;
}

export interface FileFault {
  line: number;
  column: number;
  path: string;
  message: string;
}

export interface Health {
  store: string;
  journal?: {
    segments: number;
    bytes: number;
    records: number;
    commits: number;
    syncs?: number;
    failures?: number;
    sync_p50_ms: number;
    sync_p99_ms: number;
    index_behind: number;
  };
  runs: { open: number; hot: number; waiting: number };
  timers: number;
  calls_out: number;
  stalled_inputs: number;
  since_start?: { started: number; completed: number; failed: number; cancelled: number; events: number; commits: number };
  fleet?: { worker: string; url: string; lease_until: number; runs: number }[];
}

/** What a step that waits for a person shows them. */
export interface Question {
  ask: "approve" | "edit" | "answer";
  prompt?: Json;
  draft?: Json;
  form?: Json;
  assignees?: string[];
  escalated_to?: string[];
  deadline_ms?: number;
}

export function isFinal(status: RunStatus): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}
