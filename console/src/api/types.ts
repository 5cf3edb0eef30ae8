// Shapes of the admin API (docs/design/admin-api.md) and of the parts of the OpenAI API used here.

/** Over the last 60 s; null where nothing happened. */
export interface Percentiles {
  p50: number | null;
  p95: number | null;
}

export interface Sample {
  unix_ms: number;
  uptime_s: number;
  running: number;
  queued: number;
  kv_pages_used: number;
  kv_pages_total: number;
  prompt_tokens_total: number;
  completion_tokens_total: number;
  requests_total: number;
  errors_total: number;
  prefill_tokens_per_s: number;
  decode_tokens_per_s: number;
  requests_per_s: number;
  ttft_ms: Percentiles | null;
  itl_ms: Percentiles | null;
  e2e_ms: Percentiles | null;
  rss_bytes: number;
  cpu_seconds_total: number;
  open_connections: number;

  // The engine, all models together. Totals count since the server's start.
  running_max: number;
  batch_rows_last: number; // rows of the last step: one per stream, and prompt chunks
  batch_rows_max: number;
  kv_pages_cached: number; // of the used ones: kept for prompts to come, nobody runs on them
  cached_tokens_total: number;
  prefix_hits_total: number;
  prefix_misses_total: number;
  prefix_hit_rate: number | null; // 0..1, over the last minute
  pages_evicted_total: number;
  preempted_total: number;
  swapped_out_bytes_total: number;
  forced_tokens_total: number;
  gap_ms: { p50: number; p99: number; max: number } | null; // between tokens of one request
}

export type ModelState = "unloaded" | "loading" | "ready" | "unloading" | "failed";

export type SpanName = "queue" | "template" | "prefill" | "decode" | "stream";

export interface Span {
  name: SpanName;
  start_ms: number;
  end_ms: number;
}

export interface RequestRecord {
  id: string;
  trace_id: string;
  unix_ms: number;
  method: string;
  path: string;
  model: string;
  stream: boolean;
  status: number;
  finish: string | null;
  error: { code: string; message: string } | null;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  context_dropped_tokens: number;
  queue_ms: number | null;
  template_ms: number | null;
  prefill_ms: number | null;
  decode_ms: number | null;
  stream_ms: number | null;
  ttft_ms: number | null;
  total_ms: number | null;
  tokens_per_s: number | null;
  client: string;
  user_agent: string;
  spans?: Span[];
}

export interface ModelEntry {
  id: string;
  object: string;
  created: number;
  owned_by: string;
  generates: boolean;
  embeds: boolean;
  context_tokens: number;
  embedding_dim: number;
  state: ModelState;
  state_text: string;
  memory_bytes: number;
  requests_running: number;
  details: Record<string, unknown>;
}

export interface SystemInfo {
  version: string;
  commit: string;
  kernel_target: string;
  cpu: string;
  threads: number;
  started_unix_ms: number;
  config: Record<string, unknown>;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number };
}

/** The server's own measurement, an extension of the last chunk. Fields it lacks are measured here. */
export type Timings = Record<string, number | null>;

export interface ChatChunk {
  id?: string;
  model?: string;
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: Usage | null;
  timings?: Timings | null;
  error?: { message?: string; code?: string | null };
}
