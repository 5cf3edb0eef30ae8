// Memories as /v1/memories tells of them.
export type MemoryType = "short_term" | "working" | "long_term" | "episodic" | "semantic";
export const memoryTypes: MemoryType[] = ["short_term", "working", "long_term", "episodic", "semantic"];

export interface Memory {
  id: string;
  type: MemoryType;
  content: string;
  speaker: string;
  user: string;
  agent: string;
  session: string;
  run: string;
  metadata: Record<string, unknown>;
  created_unix_ms: number;
  recorded_unix_ms: number;
  valid_from_unix_ms: number;
  valid_to_unix_ms: number;
  accessed_unix_ms: number;
  expires_unix_ms: number;
  access_count: number;
  importance: number;
  pinned: boolean;
  version: number;
  sources: { source: string; begin: number; end: number; page: number }[];
}

export interface MemoryPage {
  data: Memory[];
  next: string;
}

export interface ScoreParts {
  keyword: number;
  vector: number;
  entity: number;
  time: number;
  session: number;
  substance: number;
  graph: number;
  recency: number;
  importance: number;
  access: number;
  terms: string[];
}

export interface Hit {
  score: number;
  memory: Memory;
  parts?: ScoreParts;
  duplicates?: string[];
}

export interface Answer {
  data: Hit[];
  confidence: number;
  candidates: number;
  embedding_missing: boolean;
  plan?: string;
}

export interface MemoryVersion {
  version: number;
  change: string;
  by: string;
  recorded_unix_ms: number;
  memory: Memory;
}

export interface MemoryStats {
  entries: number;
  passages: number;
  encryption: "off" | "subject";
  keys: number;
  plain: number;
  sessions_compressed: number;
  summaries_by_model: number;
  summaries_picked: number;
  summary_error: string;
  versions: number;
  removed: number;
  embeddings_pending: number;
  truth_bytes: number;
  index_bytes: number;
  embedder: string;
}
