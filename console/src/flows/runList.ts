// The list of runs as it is put together from pages that overlap: pure. Ids are ordered as runs
// were started, the newest first, so a page is the truth about the ids between where it was asked
// from and its last row.
import type { RunHead, RunPage } from "./types";

export interface RunFilter {
  workflow: string;
  status: string;
  waiting: string;
  label: string;
  text: string;
  from: string; // days, as date fields give them
  to: string;
}

export interface RunList {
  rows: RunHead[]; // newest first
  end: boolean; // there are no older ones
}

const NAMES = ["workflow", "status", "waiting", "label", "text"] as const;
const DAY_MS = 86_400_000;

export function filterOf(query: Record<string, string>): RunFilter {
  const of = (name: string) => query[name] ?? "";
  return { workflow: of("workflow"), status: of("status"), waiting: of("waiting"), label: of("label"), text: of("text"), from: of("from"), to: of("to") };
}

/** Midnight of a day where the reader is; null for what is no day. */
export function dayMs(day: string): number | null {
  const cut = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day);
  if (!cut) return null;
  const at = new Date(Number(cut[1]), Number(cut[2]) - 1, Number(cut[3])).getTime();
  return Number.isFinite(at) ? at : null;
}

/** The server's query. The last day counts whole. A label without "=" is not asked for yet. */
export function queryOf(filter: RunFilter): URLSearchParams {
  const out = new URLSearchParams();
  for (const name of NAMES) {
    const value = filter[name].trim();
    if (value && (name !== "label" || value.includes("="))) out.set(name, value);
  }
  const from = dayMs(filter.from);
  const to = dayMs(filter.to);
  if (from !== null) out.set("from_unix_ms", String(from));
  if (to !== null) out.set("to_unix_ms", String(to + DAY_MS));
  return out;
}

/** First index whose id is not newer than `id` (rows are newest first). */
export function indexOfId(rows: RunHead[], id: string): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.id > id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts in a page that was asked for after the run `after` (null: the newest). What the list had in
 *  that stretch goes: it may no longer match. */
export function mergePage(list: RunList, after: string | null, page: RunPage): RunList {
  const begin = after === null ? 0 : indexOfId(list.rows, after) + (list.rows[indexOfId(list.rows, after)]?.id === after ? 1 : 0);
  const last = page.data[page.data.length - 1]?.id;
  const behind = last === undefined ? begin : indexOfId(list.rows, last) + (list.rows[indexOfId(list.rows, last)]?.id === last ? 1 : 0);
  const rest = page.has_more ? list.rows.slice(Math.max(begin, behind)) : [];
  const rows = [...list.rows.slice(0, begin), ...page.data, ...rest];
  return { rows, end: page.has_more ? (rest.length > 0 ? list.end : false) : true };
}

/** The path of the step that made a run fail, the innermost one. */
export function failedPath(scope: { steps: { id: string; status: string; scopes?: unknown[] }[] } | undefined, before = ""): string | null {
  for (const step of scope?.steps ?? []) {
    if (step.status !== "failed") continue;
    for (const inner of (step.scopes ?? []) as { key: string; steps: { id: string; status: string }[] }[]) {
      const deeper = failedPath(inner, `${before}${step.id}[${inner.key}].`);
      if (deeper) return deeper;
    }
    return before + step.id;
  }
  return null;
}
