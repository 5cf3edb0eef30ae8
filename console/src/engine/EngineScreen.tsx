// Engine: how full the batch is, who holds the KV pages, what the prefix cache saves, how evenly
// tokens come, and which models are in memory.
import { useCallback } from "react";
import type { Sample } from "../api/types";
import { useT, type Translate } from "../i18n";
import { LiveView, type ChartSpec } from "../live/LiveView";
import { Tile } from "../live/Tile";
import type { Line } from "../live/series";
import { formatBytes, formatMs, formatNumber, NONE } from "../ui/format";
import { hitRate, hitRates, pagesOf, perSecond } from "./figures";
import { MemoryTable } from "./MemoryTable";
import { PageBar } from "./PageBar";

const HIT_WINDOW_S = 30;

function specs(samples: Sample[], t: Translate): ChartSpec[] {
  const line = (label: string, tone: number, of: (sample: Sample) => number | null | undefined): Line => ({
    label,
    tone,
    values: samples.map((sample) => of(sample) ?? null),
  });
  const last = samples[samples.length - 1];
  return [
    {
      title: t("engine.batch"),
      lines: [line(t("engine.rows"), 2, (s) => s.batch_rows_last), line(t("engine.streams"), 1, (s) => s.running)],
      format: formatNumber,
      whole: true,
    },
    {
      title: t("engine.pages"),
      lines: [line(t("engine.held"), 1, (s) => pagesOf(s).held), line(t("engine.cached"), 2, (s) => pagesOf(s).cached)],
      format: formatNumber,
      ceiling: last?.kv_pages_total ?? null,
      whole: true,
    },
    {
      title: t("engine.hit_rate_chart"),
      lines: [{ label: "%", tone: 1, values: hitRates(samples, HIT_WINDOW_S) }],
      format: formatNumber,
      ceiling: 100,
    },
    {
      title: t("engine.gaps"),
      lines: [
        line("p50", 1, (s) => s.gap_ms?.p50),
        line("p99", 3, (s) => s.gap_ms?.p99),
        line("max", 4, (s) => s.gap_ms?.max),
      ],
      format: formatMs,
    },
    {
      title: t("engine.tokens"),
      lines: [
        line(t("phase.decode"), 1, (s) => s.decode_tokens_per_s),
        line(t("phase.prefill"), 2, (s) => s.prefill_tokens_per_s),
        { label: t("engine.forced"), tone: 3, values: perSecond(samples, (s) => s.forced_tokens_total) },
      ],
      format: formatNumber,
    },
    {
      title: t("engine.pressure"),
      lines: [
        { label: t("engine.evicted"), tone: 2, values: perSecond(samples, (s) => s.pages_evicted_total) },
        { label: t("engine.preempted"), tone: 3, values: perSecond(samples, (s) => s.preempted_total) },
      ],
      format: formatNumber,
    },
  ];
}

function Head({ last, shown }: { last: Sample; shown: Sample[] }) {
  const t = useT();
  const rate = hitRate(shown);
  const asked = last.prefix_hits_total + last.prefix_misses_total;
  return (
    <>
      <dl className="tiles">
        <Tile label={t("engine.occupancy")} value={`${last.running} / ${last.running_max}`} note={t("engine.rows_n", { n: last.batch_rows_last, max: last.batch_rows_max })} />
        <Tile label={t("engine.hit_rate")} value={rate === null ? NONE : `${formatNumber(100 * rate)} %`} note={t("engine.hits_n", { n: formatNumber(last.prefix_hits_total), all: formatNumber(asked) })} />
        <Tile label={t("engine.saved")} value={formatNumber(last.cached_tokens_total)} note={t("engine.saved_note")} />
        <Tile label={t("engine.gap")} value={formatMs(last.gap_ms?.p50)} note={`p99 ${formatMs(last.gap_ms?.p99)} · max ${formatMs(last.gap_ms?.max)}`} />
        <Tile label={t("engine.preempted")} value={formatNumber(last.preempted_total)} note={t("engine.swapped", { bytes: formatBytes(last.swapped_out_bytes_total) })} />
      </dl>
      <PageBar pages={pagesOf(last)} />
    </>
  );
}

export function EngineScreen() {
  const t = useT();
  const charts = useCallback((samples: Sample[]) => specs(samples, t), [t]);
  return (
    <LiveView title={t("nav.engine")} note={t("engine.note")} specs={charts} head={(last, shown) => <Head last={last} shown={shown} />}>
      <MemoryTable />
    </LiveView>
  );
}
