// Live: what the server does right now and did over the last quarter of an hour.
import { useCallback } from "react";
import type { Sample } from "../api/types";
import { useT, type Translate } from "../i18n";
import { formatBytes, formatDuration, formatMs, formatNumber, NONE } from "../ui/format";
import { LiveView, type ChartSpec } from "./LiveView";
import { cpuCores, type Line } from "./series";
import { Tile } from "./Tile";

function specs(samples: Sample[], t: Translate): ChartSpec[] {
  const line = (label: string, tone: number, of: (sample: Sample) => number | null | undefined): Line => ({
    label,
    tone,
    values: samples.map((sample) => of(sample) ?? null),
  });
  const latency = (title: string, of: (sample: Sample) => Sample["ttft_ms"]): ChartSpec => ({
    title,
    lines: [line("p50", 1, (s) => of(s)?.p50), line("p95", 3, (s) => of(s)?.p95)],
    format: formatMs,
  });
  const pages_total = samples[samples.length - 1]?.kv_pages_total ?? null;
  return [
    {
      title: t("live.throughput"),
      lines: [line(t("phase.decode"), 1, (s) => s.decode_tokens_per_s), line(t("phase.prefill"), 2, (s) => s.prefill_tokens_per_s)],
      format: formatNumber,
    },
    {
      title: t("live.queue"),
      lines: [line(t("live.running"), 1, (s) => s.running), line(t("live.queued"), 3, (s) => s.queued)],
      format: formatNumber,
      whole: true,
    },
    latency(t("live.ttft"), (s) => s.ttft_ms),
    latency(t("live.itl"), (s) => s.itl_ms),
    latency(t("live.e2e"), (s) => s.e2e_ms),
    { title: t("live.requests"), lines: [line(t("live.requests_per_s"), 2, (s) => s.requests_per_s)], format: formatNumber },
    { title: t("live.kv"), lines: [line(t("live.used"), 4, (s) => s.kv_pages_used)], format: formatNumber, ceiling: pages_total },
    { title: t("live.memory"), lines: [line("RSS", 4, (s) => s.rss_bytes)], format: formatBytes, bytes: true },
    { title: t("live.cpu"), lines: [{ label: t("live.cores"), tone: 2, values: cpuCores(samples) }], format: formatNumber },
  ];
}

function Tiles({ last }: { last: Sample }) {
  const t = useT();
  const kv = last.kv_pages_total > 0 ? `${formatNumber((100 * last.kv_pages_used) / last.kv_pages_total)} %` : NONE;
  return (
    <dl className="tiles">
      <Tile label={t("live.decode_rate")} value={formatNumber(last.decode_tokens_per_s)} note={t("live.tokens_total", { n: formatNumber(last.completion_tokens_total) })} />
      <Tile label={t("live.ttft_p50")} value={formatMs(last.ttft_ms?.p50)} note={`p95 ${formatMs(last.ttft_ms?.p95)}`} />
      <Tile label={t("live.running")} value={String(last.running)} note={t("live.queued_n", { n: last.queued })} />
      <Tile label={t("live.requests")} value={formatNumber(last.requests_total)} note={t("live.errors_n", { n: last.errors_total })} />
      <Tile label={t("live.kv")} value={kv} note={`${last.kv_pages_used} / ${last.kv_pages_total}`} />
      <Tile label={t("live.memory")} value={formatBytes(last.rss_bytes)} note={t("live.uptime", { time: formatDuration(last.uptime_s) })} />
    </dl>
  );
}

export function LiveScreen() {
  const t = useT();
  const charts = useCallback((samples: Sample[]) => specs(samples, t), [t]);
  return <LiveView title={t("nav.live")} note={t("live.note")} specs={charts} head={(last) => <Tiles last={last} />} />;
}
