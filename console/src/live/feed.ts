// The console's pulse: one stream of samples for the whole page. It also tells whether the server
// can be reached, and keeps trying when it cannot.
import { ApiError, getJson, request } from "../api/http";
import { reconnects } from "../api/reconnects";
import { readSse } from "../api/sse";
import type { Sample } from "../api/types";
import { createStore } from "../app/store";

/** missing: the server answers but has no stats; unauthorized: it wants a key. */
export type Link = "connecting" | "up" | "down" | "missing" | "unauthorized";

export interface Feed {
  link: Link;
  samples: Sample[]; // oldest first, one a second
  retry_at_ms: number | null;
}

export const SAMPLES_MAX = 900; // 15 minutes, as much as the server keeps
const SILENCE_MAX_MS = 10_000; // the server sends one a second: this long without means gone

export const feedStore = createStore<Feed>({ link: "connecting", samples: [], retry_at_ms: null });

/** Adds newer samples to the end. A clock that went back starts the series afresh. */
export function appendSamples(before: Sample[], more: Sample[]): Sample[] {
  let out = before;
  for (const sample of more) {
    const last = out[out.length - 1];
    if (last && sample.unix_ms === last.unix_ms) continue;
    out = last && sample.unix_ms < last.unix_ms ? [sample] : [...out, sample];
  }
  return out.length > SAMPLES_MAX ? out.slice(-SAMPLES_MAX) : out;
}

export function backoffMs(failures: number): number {
  return Math.min(1000 * 2 ** Math.max(0, failures - 1), 15_000);
}

function linkAfter(error: unknown): Link {
  if (!(error instanceof ApiError)) return "down";
  if (error.kind === "not_found") return "missing";
  return error.kind === "unauthorized" ? "unauthorized" : "down";
}

let wake: (() => void) | null = null;

export function retryNow(): void {
  wake?.();
}

async function readUntilBroken(onConnected: () => void): Promise<void> {
  const history = await getJson<{ samples: Sample[] }>("/admin/v1/stats/history");
  // History is the truth for its span: it fills the hole that an outage left.
  feedStore.set({ link: "up", samples: appendSamples([], history.samples), retry_at_ms: null });
  onConnected();

  const abort = new AbortController();
  let watchdog = setTimeout(() => abort.abort(), SILENCE_MAX_MS);
  try {
    const response = await request("/admin/v1/stats/stream", { signal: abort.signal });
    if (!response.body) return;
    for await (const event of readSse(response.body)) {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MAX_MS);
      const sample = JSON.parse(event.data) as Sample;
      feedStore.set((feed) => ({ ...feed, link: "up", samples: appendSamples(feed.samples, [sample]) }));
    }
  } finally {
    clearTimeout(watchdog);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

export async function runFeed(): Promise<never> {
  let failures = 0;
  for (;;) {
    let link: Link = "down";
    try {
      await readUntilBroken(() => {
        if (failures > 0) reconnects.set((times) => times + 1);
        failures = 0;
      });
    } catch (error) {
      link = linkAfter(error);
    }
    failures += 1;
    const ms = backoffMs(failures);
    feedStore.set((feed) => ({ ...feed, link, retry_at_ms: Date.now() + ms }));
    await pause(ms);
    wake = null;
  }
}
