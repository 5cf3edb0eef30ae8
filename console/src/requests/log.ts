// The request log as data: merging pages and the live head, filtering, and what a record can be
// turned into. Pure.
import type { RequestRecord, Span, SpanName } from "../api/types";

export interface Page {
  requests: RequestRecord[];
  next_before: string | null;
}

export interface Filter {
  status: "all" | "ok" | "error";
  model: string; // "" = any
  text: string;
}

/** Union by id, newest first; on a tie of ids the later argument wins, since a record may grow. */
export function mergeRecords(before: RequestRecord[], more: RequestRecord[]): RequestRecord[] {
  if (more.length === 0) return before;
  const byId = new Map(before.map((record) => [record.id, record]));
  for (const record of more) byId.set(record.id, record);
  return [...byId.values()].sort((a, b) => b.unix_ms - a.unix_ms || (a.id < b.id ? 1 : -1));
}

export interface LogState {
  records: RequestRecord[];
  next: string | null; // where older pages begin
}

/** Takes in a fresh first page. When so many came in that it does not reach what is known, the old
 *  part is dropped: a log with a silent hole would lie. */
export function mergeHead(before: LogState | null, page: Page): LogState {
  const known = new Set(before?.records.map((record) => record.id));
  const overlaps = page.requests.some((record) => known.has(record.id));
  if (!before || (!overlaps && page.next_before !== null)) {
    return { records: mergeRecords([], page.requests), next: page.next_before };
  }
  return { records: mergeRecords(before.records, page.requests), next: before.next };
}

export function mergeOlder(before: LogState | null, page: Page): LogState {
  return { records: mergeRecords(page.requests, before?.records ?? []), next: page.next_before };
}

export function failed(record: RequestRecord): boolean {
  return record.status >= 400 || record.error !== null || record.finish === "error";
}

export function matches(record: RequestRecord, filter: Filter): boolean {
  if (filter.status !== "all" && failed(record) !== (filter.status === "error")) return false;
  if (filter.model && record.model !== filter.model) return false;
  const wanted = filter.text.trim().toLowerCase();
  if (!wanted) return true;
  const { id, trace_id, path, model, client, user_agent, finish, error, status } = record;
  const searched = [id, trace_id, path, model, client, user_agent, finish, error?.code, error?.message, String(status)];
  return searched.some((field) => field?.toLowerCase().includes(wanted));
}

const order: SpanName[] = ["queue", "template", "prefill", "decode", "stream"];

export interface Bar extends Span {
  left_percent: number;
  width_percent: number;
}

/** Spans in the order of a request's life, placed on the request's whole time. */
export function waterfall(record: RequestRecord): { bars: Bar[]; total_ms: number } {
  const spans = [...(record.spans ?? [])].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  const total_ms = Math.max(record.total_ms ?? 0, ...spans.map((span) => span.end_ms), 0.001);
  const bars = spans.map((span) => ({
    ...span,
    left_percent: (100 * span.start_ms) / total_ms,
    width_percent: (100 * Math.max(0, span.end_ms - span.start_ms)) / total_ms,
  }));
  return { bars, total_ms };
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A command that sends the same kind of request. The prompt is not kept, so one stands in for it. */
export function asCurl(record: RequestRecord, origin: string, prompt: string): string | null {
  const url = quote(origin + record.path);
  if (record.method === "GET") return `curl ${url}`;
  const input: Record<string, Record<string, unknown>> = {
    "/v1/chat/completions": { messages: [{ role: "user", content: prompt }], stream: record.stream },
    "/v1/completions": { prompt, stream: record.stream },
    "/v1/embeddings": { input: prompt },
  };
  const rest = input[record.path];
  if (!rest) return null;
  const body = JSON.stringify({ model: record.model, ...rest });
  return `curl ${record.stream ? "-N " : ""}${url} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quote(body)}`;
}
