// Forgetting, compressing and profile blocks, as /v1 tells of them; and what screens say of them.
import { request } from "../api/http";

export interface ForgetPreview {
  counts: Record<string, number>;
  names: string[];
  memories: { id: string; why: string }[];
}

export interface Receipt {
  id: string;
  status: "erasing" | "done";
  progress: number;
  counts: Record<string, number>;
  requested_unix_ms: number;
  hidden_unix_ms: number;
  unreadable_unix_ms: number;
  deadline_unix_ms: number;
  done_unix_ms: number;
  ids_sha256: string;
  error: string;
  scan?: { clean: boolean; files: number; bytes: number; needles: number; hits: number; rows_left: number; files_scanned: boolean };
}

export interface Decision {
  id: string;
  reason: string;
}

export interface CompressionPlan {
  entries_before: number;
  entries_after: number;
  tokens_before: number;
  tokens_after: number;
  kept: number;
  dropped: number;
  summaries: number;
  keep: Decision[];
  drop: Decision[];
  merge: { ids: string[]; summary: string }[];
}

export interface Compression {
  id: string;
  applied_unix_ms: number;
  undone_unix_ms: number;
  undo_until_unix_ms: number;
  entries_before: number;
  entries_after: number;
  tokens_before: number;
  tokens_after: number;
}

export interface ProfileBlock {
  name: string;
  text: string;
  description: string;
  limit_chars: number;
  read_only: boolean;
  version: number;
}

export async function send<T>(method: string, path: string, body: object = {}): Promise<T> {
  const response = await request(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return (await response.json()) as T;
}

export type Aim = "subject" | "user" | "session" | "document";

/** "3 memories, 1 facts"; kinds without any are left out. */
export function countsText(counts: Record<string, number>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind.replaceAll("_", " ")}`)
    .join(", ");
}

/** How many decisions each reason has, the most first. */
export function byReason(decisions: Decision[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { reason } of decisions) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

/** Share of tokens that goes, in whole percent. */
export function savedPercent({ tokens_before, tokens_after }: { tokens_before: number; tokens_after: number }): number {
  return tokens_before > 0 ? Math.round((1 - tokens_after / tokens_before) * 100) : 0;
}

/** Characters as the server counts them: code points. */
export function charsOf(text: string): number {
  return [...text].length;
}
