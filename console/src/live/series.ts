// From samples to the lines of a chart. Pure, so that the drawing has nothing to decide.
import type { Sample } from "../api/types";

export interface Line {
  label: string;
  tone: number; // 1..4, a colour of the palette
  values: (number | null)[];
}

export const RANGES_S = [60, 300, 900] as const;

export function lastSeconds(samples: Sample[], seconds: number): Sample[] {
  const end = samples[samples.length - 1]?.unix_ms ?? 0;
  return samples.filter((sample) => sample.unix_ms > end - seconds * 1000);
}

/** Cores kept busy: CPU seconds used per second of wall time, from the sample before. */
export function cpuCores(samples: Sample[]): (number | null)[] {
  return samples.map((sample, index) => {
    const before = samples[index - 1];
    if (!before) return null;
    const wall_s = (sample.unix_ms - before.unix_ms) / 1000;
    const used_s = sample.cpu_seconds_total - before.cpu_seconds_total;
    return wall_s > 0 && used_s >= 0 ? used_s / wall_s : null;
  });
}

/** A round step so that at most `count` of them cover `max`: 1, 2, 2.5 or 5 times a power of ten. */
export function niceStep(max: number, count: number): number {
  if (!(max > 0)) return 1;
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  for (const factor of [1, 2, 2.5, 5]) {
    if (factor * power >= rough * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

/** Bytes count in powers of two; a decimal step would label 476.8 MiB. */
export function niceByteStep(max: number, count: number): number {
  if (!(max > 0)) return 1;
  return 2 ** Math.ceil(Math.log2(max / count) - 1e-9);
}

export function ticks(max: number, count: number, step = niceStep(max, count)): number[] {
  const out: number[] = [];
  for (let n = 0; n * step < max * (1 + 1e-9) || n < 2; n += 1) out.push(n * step);
  if ((out[out.length - 1] ?? 0) < max) out.push(out.length * step);
  return out;
}

export function maxOf(lines: Line[]): number {
  let max = 0;
  for (const line of lines) for (const value of line.values) if (value !== null && value > max) max = value;
  return max;
}

/** Index of the time nearest to `unixMs`; times are ascending. -1 for none. */
export function nearestIndex(times: number[], unixMs: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < unixMs) low = middle + 1;
    else high = middle;
  }
  const before = times[low - 1];
  const here = times[low];
  if (here === undefined) return -1;
  return before !== undefined && unixMs - before < here - unixMs ? low - 1 : low;
}
