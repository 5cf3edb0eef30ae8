// One change for many runs: a few at a time, every refusal kept.
import { asApiError, getJson, postJson } from "../api/http";
import { failedPath } from "./runList";
import type { RunView } from "./types";

export type BulkKind = "cancel" | "retry";
const AT_ONCE = 6;

export interface Progress {
  done: number;
  failed: { id: string; message: string }[];
}

export const runPath = (id: string) => `/v1/runs/${encodeURIComponent(id)}`;

/** Tries the step again that made a run fail. */
export async function retryRun(id: string): Promise<void> {
  const run = await getJson<RunView>(runPath(id));
  const step = failedPath(run.root);
  if (step === null) throw new Error(`${id}: no step of it failed`);
  await postJson(`${runPath(id)}/retry`, { step, by: "console" });
}

export async function changeRuns(kind: BulkKind, ids: string[], why: string, onProgress: (progress: Progress) => void): Promise<Progress> {
  const progress: Progress = { done: 0, failed: [] };
  const waiting = [...ids];
  const work = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      try {
        if (kind === "retry") await retryRun(id);
        else await postJson(`${runPath(id)}/cancel`, { why, by: "console" });
      } catch (reason) {
        progress.failed.push({ id, message: reason instanceof Error ? reason.message : asApiError(reason).message });
      }
      progress.done += 1;
      onProgress({ ...progress });
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, work));
  return progress;
}
