// Samples of the plane's health, as lines of charts. Rates are what was counted between two samples.
import type { Translate } from "../i18n";
import type { ChartSpec } from "../live/LiveView";
import { formatBytes, formatMs, formatNumber } from "../ui/format";
import type { Health } from "./types";

export interface HealthSample {
  unix_ms: number;
  health: Health;
}

const SAMPLES_MAX = 900;

export function addHealth(before: HealthSample[], sample: HealthSample): HealthSample[] {
  const last = before[before.length - 1];
  const kept = last && sample.unix_ms <= last.unix_ms ? [] : before.slice(-SAMPLES_MAX + 1);
  return [...kept, sample];
}

/** Per second, from the sample before; null at the first and where a count fell: a new process. */
export function rates(samples: HealthSample[], of: (health: Health) => number | undefined): (number | null)[] {
  return samples.map((sample, n) => {
    const before = samples[n - 1];
    const [was, is] = [before && of(before.health), of(sample.health)];
    if (!before || was === undefined || is === undefined || is < was) return null;
    return ((is - was) * 1000) / (sample.unix_ms - before.unix_ms);
  });
}

export function chartsOf(samples: HealthSample[], t: Translate): ChartSpec[] {
  const line = (label: string, tone: number, of: (health: Health) => number | undefined) => ({ label, tone, values: samples.map((sample) => of(sample.health) ?? null) });
  const rate = (label: string, tone: number, of: (health: Health) => number | undefined) => ({ label, tone, values: rates(samples, of) });
  const charts: ChartSpec[] = [
    { title: t("flows.health.runs"), lines: [line(t("flows.health.open"), 1, (h) => h.runs.open), line(t("flows.status.waiting"), 3, (h) => h.runs.waiting), line(t("flows.health.hot"), 2, (h) => h.runs.hot)], format: formatNumber, whole: true },
    { title: t("flows.health.ended"), lines: [rate(t("flows.status.completed"), 1, (h) => h.since_start?.completed), rate(t("flows.status.failed"), 3, (h) => h.since_start?.failed), rate(t("flows.health.started"), 2, (h) => h.since_start?.started)], format: formatNumber },
    { title: t("flows.health.work"), lines: [line(t("flows.health.calls"), 1, (h) => h.calls_out), line(t("flows.health.timers_"), 2, (h) => h.timers)], format: formatNumber, whole: true },
  ];
  if (samples.some(({ health }) => health.journal)) {
    charts.push(
      { title: t("flows.health.sync"), lines: [line("p50", 1, (h) => h.journal?.sync_p50_ms), line("p99", 3, (h) => h.journal?.sync_p99_ms)], format: formatMs },
      { title: t("flows.health.written"), lines: [rate(t("flows.health.records"), 1, (h) => h.journal?.records), rate(t("flows.health.commits"), 2, (h) => h.journal?.commits)], format: formatNumber },
      { title: t("flows.health.size"), lines: [line(t("flows.health.store"), 4, (h) => h.journal?.bytes)], format: formatBytes, bytes: true },
    );
  }
  return charts;
}
