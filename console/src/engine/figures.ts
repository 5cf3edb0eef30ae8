// What the engine screen derives from samples. Pure.
import type { Sample } from "../api/types";

/** Share of prompt tokens found in the prefix cache from the first to the last sample, 0..1; null
 *  when no prompt was read. */
export function hitRate(samples: Sample[]): number | null {
  const first = samples[0];
  const last = samples[samples.length - 1];
  if (!first || !last) return null;
  const read = last.prompt_tokens_total - first.prompt_tokens_total;
  const found = last.cached_tokens_total - first.cached_tokens_total;
  // Totals start again with the server; prompt tokens count what was computed.
  return read + found > 0 && read >= 0 && found >= 0 ? found / (read + found) : null;
}

/** Hit rate in percent over the `window_s` seconds before each sample. */
export function hitRates(samples: Sample[], window_s: number): (number | null)[] {
  let from = 0;
  return samples.map((sample, index) => {
    while ((samples[from]?.unix_ms ?? 0) < sample.unix_ms - window_s * 1000) from += 1;
    const rate = hitRate(samples.slice(from, index + 1));
    return rate === null ? null : 100 * rate;
  });
}

/** Growth per second of a total; null after a gap or a restart. */
export function perSecond(samples: Sample[], total: (sample: Sample) => number): (number | null)[] {
  return samples.map((sample, index) => {
    const before = samples[index - 1];
    if (!before) return null;
    const seconds = (sample.unix_ms - before.unix_ms) / 1000;
    const grown = total(sample) - total(before);
    return seconds > 0 && grown >= 0 ? grown / seconds : null;
  });
}

export interface Pages {
  held: number; // requests run on them
  cached: number;
  free: number;
}

export function pagesOf(sample: Sample): Pages {
  const cached = Math.min(sample.kv_pages_cached, sample.kv_pages_used);
  return { held: sample.kv_pages_used - cached, cached, free: Math.max(0, sample.kv_pages_total - sample.kv_pages_used) };
}
