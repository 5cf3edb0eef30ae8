/** A run that was waited for did not complete. */
export class RunFailedError extends Error {
  run: string;
  status: 'failed' | 'cancelled' | string;
  code?: string;
}

/** What a server said, or why it could not be asked (`code` "unavailable", `status` 0). */
export class DougongError extends Error {
  code: string;
  status: number;
  /** The input that is at fault, as a JSON path. */
  param: string | null;
}

export interface ConnectionOptions {
  /** Default: http://127.0.0.1:8080 */
  url?: string;
  tenant?: string;
  apiKey?: string;
  headers?: Record<string, string>;
}

export interface RunHead {
  object: 'run';
  id: string;
  workflow: string;
  version: number;
  status: 'running' | 'paused' | 'undoing' | 'completed' | 'failed' | 'cancelled';
  started_unix_ms: number;
  updated_unix_ms: number;
  finished_unix_ms?: number;
  labels?: Record<string, unknown>;
  error?: string;
  waiting?: string[];
}

export interface Started<Output = unknown> {
  id: string;
  status: string;
  output?: Output;
  error?: string;
}

export interface StartOptions<Input = unknown> {
  input?: Input;
  labels?: Record<string, string>;
  version?: number;
  /** The same key starts one run. Absent: one is made, so that a repeated request starts one run. */
  idempotencyKey?: string;
  /** Answer when the run is over, or after so long. */
  waitMs?: number;
  signal?: AbortSignal;
}

export interface RunEvent {
  /** Its place in the run's history, from 1: `after` of events() goes on behind it. */
  place: number;
  event: string;
  at_ms: number;
  step?: string;
  name?: string;
  attempt?: number;
  value?: unknown;
  error?: { code: string; message: string };
  [field: string]: unknown;
}

export interface Deployed {
  name: string;
  version: number;
  hash: string;
  description: string;
  created_unix_ms: number;
  unchanged?: boolean;
}

export interface RunFilter {
  workflow?: string;
  status?: string;
  waiting?: string;
  label?: string;
  text?: string;
  parent?: string;
  after?: string;
  from_unix_ms?: number;
  to_unix_ms?: number;
  limit?: number;
}

/** Workflows and runs of a server. */
export class Client {
  constructor(options?: ConnectionOptions & { retries?: number });
  close(): void;

  deploy(workflow: string | object, options?: { file?: string }): Promise<Deployed>;
  validate(workflow: string | object, options?: { file?: string }): Promise<{
    valid: boolean;
    faults: { line: number; column: number; path: string; message: string }[];
  }>;
  workflows(): Promise<Deployed[]>;
  workflow(name: string, options?: { version?: number }): Promise<Deployed & { source: string; document: unknown }>;
  remove(name: string): Promise<unknown>;

  start<Input = unknown, Output = unknown>(name: string, options?: StartOptions<Input>): Promise<Started<Output>>;
  /** Starts a run and waits for its output. Throws RunFailedError. */
  run<Input = unknown, Output = unknown>(name: string, options?: StartOptions<Input>): Promise<Output>;
  /** The output of a run, when it has completed. Throws RunFailedError. */
  wait<Output = unknown>(run: string, options?: { signal?: AbortSignal }): Promise<Output>;
  /** What happens to a run, the past first, to its end. A broken stream goes on where it was. */
  events(run: string, options?: { after?: number; signal?: AbortSignal }): AsyncGenerator<RunEvent>;
  get(run: string): Promise<Record<string, unknown> & { id: string; status: string; output?: unknown }>;
  list(filter?: RunFilter): Promise<{ data: RunHead[]; has_more: boolean; next?: string }>;

  signal(run: string, name: string, payload?: unknown): Promise<unknown>;
  answer(run: string, step: string, answer: { decision: 'approved' | 'rejected' | 'answered'; answer?: unknown; by?: string }): Promise<unknown>;
  approve(run: string, step: string, options?: { answer?: unknown; by?: string }): Promise<unknown>;
  reject(run: string, step: string, options?: { answer?: unknown; by?: string }): Promise<unknown>;
  pause(run: string, options?: { why?: string; by?: string }): Promise<unknown>;
  resume(run: string, options?: { by?: string }): Promise<unknown>;
  cancel(run: string, options?: { why?: string }): Promise<unknown>;
  retry(run: string, step: string, options?: { by?: string }): Promise<unknown>;
  publish(event: string, payload?: unknown): Promise<unknown>;
  workers(): Promise<{ workers: unknown[]; tasks: unknown[] }>;
}

/** What a step's function is told of its call. */
export interface StepContext {
  /** Aborted when nobody waits for the result any more, or the lease was lost. */
  signal: AbortSignal;
  /** The same for every attempt and every giving: what must not happen twice is done under it. */
  idempotencyKey: string;
  run: string;
  workflow: string;
  version: number;
  step: string;
  queue: string;
  function: string;
  /** Of the step, from 1. */
  attempt: number;
  /** Above 1: a worker that had this attempt lost it. */
  giving: number;
  /** Milliseconds since 1970 at which the attempt's time is over. */
  deadline?: number;
  /** Counted against the run's budget. */
  usage(used: { tokens?: number; costUsd?: number }): void;
}

export type StepFunction<Arguments = any, Output = any> =
  (args: Arguments, context: StepContext) => Output | Promise<Output>;

/** Fails a step with a code, which says whether it is tried again. */
export class StepError extends Error {
  constructor(code: string, message: string);
  code: string;
}

export interface WorkerOptions extends Omit<ConnectionOptions, 'url'> {
  /** {queue: {function: handler}} */
  steps: Record<string, Record<string, StepFunction>>;
  /** One server, or several that share the work. */
  url?: string | string[];
  /** Functions at once. Default: 32. */
  concurrency?: number;
  /** After so long without a sign of life another worker gets the task. Default: 30,000. */
  leaseMs?: number;
  /** Its name; absent, one is made of host, process and chance. */
  name?: string;
  onEvent?: (kind: 'unreachable' | 'refused' | 'draining', detail: any) => void;
}

export class Worker {
  constructor(options: WorkerOptions);
  readonly name: string;
  /** Works until stop(). Throws what a server refuses for good. */
  run(): Promise<void>;
  /** Takes no more; what runs may end, for at most `timeoutMs` (30,000), and is answered. */
  stop(options?: { timeoutMs?: number }): Promise<void>;
}
