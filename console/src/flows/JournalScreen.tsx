// Health of the workflow plane: its store, what waits, and what happens, live.
import { useEffect, useMemo, useState } from "react";
import { ApiError, asApiError, getJson } from "../api/http";
import { useT, type Translate } from "../i18n";
import { Chart } from "../live/Chart";
import { RANGES_S } from "../live/series";
import { Tile } from "../live/Tile";
import { formatBytes, formatMs, formatNumber, formatTime } from "../ui/format";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { FlowTabs } from "./FlowTabs";
import { addHealth, chartsOf, type HealthSample } from "./health";
import "./flows.css";

const TICK_MS = 1000;
let kept: HealthSample[] = []; // between visits

function useHealth(held: boolean): { samples: HealthSample[]; error: ApiError | null } {
  const [samples, setSamples] = useState(kept);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    if (held) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const tick = async () => {
      try {
        const health = await getJson<HealthSample["health"]>("/v1/flow/health", abort.signal);
        kept = addHealth(kept, { unix_ms: Date.now(), health });
        setSamples(kept);
        setError(null);
      } catch (reason) {
        if (abort.signal.aborted) return;
        setError(asApiError(reason));
      }
      timer = setTimeout(() => void tick(), TICK_MS);
    };
    void tick();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [held]);
  return { samples, error };
}

export function JournalScreen() {
  const t = useT();
  const [held, setHeld] = useState(false);
  const [span_s, setSpan] = useState<number>(RANGES_S[0]);
  const { samples, error } = useHealth(held);
  const last = samples[samples.length - 1];
  const shown = useMemo(() => samples.filter((sample) => sample.unix_ms > (last?.unix_ms ?? 0) - span_s * 1000), [samples, last, span_s]);
  const times = useMemo(() => shown.map((sample) => sample.unix_ms), [shown]);
  const charts = useMemo(() => chartsOf(shown, t), [shown, t]);
  return (
    <div className="page flows">
      <PageHead title={t("nav.journal")} note={t("flows.journal.note")}>
        <div className="segments" role="group" aria-label={t("live.range")}>
          {RANGES_S.map((seconds) => <button key={seconds} type="button" aria-pressed={span_s === seconds} onClick={() => setSpan(seconds)}>{seconds / 60} min</button>)}
        </div>
        <button type="button" className="button" aria-pressed={held} onClick={() => setHeld(!held)}>{t(held ? "live.resume" : "live.pause")}</button>
      </PageHead>
      <FlowTabs />
      {error && !last && <Failure error={error} />}
      {error && last && <p className="wrong" role="alert">{error.message}</p>}
      {!error && !last && <Skeleton lines={8} />}
      {last && (
        <>
          <Tiles sample={last} t={t} />
          <div className="charts">{charts.map((chart) => <Chart key={chart.title} {...chart} times={times} span_s={span_s} />)}</div>
          {last.health.fleet && <Fleet fleet={last.health.fleet} t={t} />}
        </>
      )}
    </div>
  );
}

function Tiles({ sample, t }: { sample: HealthSample; t: Translate }) {
  const { journal, runs, timers, calls_out, stalled_inputs, store } = sample.health;
  return (
    <dl className="tiles">
      <Tile label={t("flows.health.open")} value={formatNumber(runs.open)} note={t("flows.health.waiting", { n: formatNumber(runs.waiting) })} />
      <Tile label={t("flows.health.calls")} value={formatNumber(calls_out)} note={t("flows.health.timers", { n: formatNumber(timers) })} />
      <Tile label={t("flows.health.stalled")} value={formatNumber(stalled_inputs)} note={t(stalled_inputs ? "flows.health.stalled.bad" : "flows.health.stalled.good")} />
      <Tile label={t("flows.health.store")} value={journal ? formatBytes(journal.bytes) : store} note={journal ? t("flows.health.segments", { n: formatNumber(journal.segments) }) : t("flows.health.shared")} />
      {journal && <Tile label={t("flows.health.sync")} value={formatMs(journal.syncs === 0 ? null : journal.sync_p50_ms)} note={`p99 ${formatMs(journal.syncs === 0 ? null : journal.sync_p99_ms)}`} />}
      {journal && <Tile label={t("flows.health.records_since")} value={formatNumber(journal.records)} note={t("flows.health.behind", { n: formatNumber(journal.index_behind) })} />}
    </dl>
  );
}

function Fleet({ fleet, t }: { fleet: NonNullable<HealthSample["health"]["fleet"]>; t: Translate }) {
  if (fleet.length === 0) return <Empty title={t("flows.health.no_fleet")} />;
  return (
    <section className="card">
      <h2>{t("flows.health.fleet")}</h2>
      <div className="table-scroll" tabIndex={0}>
        <table className="flow-table">
          <thead><tr><th>{t("flows.health.worker")}</th><th>URL</th><th>{t("flows.health.lease")}</th><th>{t("nav.runs")}</th></tr></thead>
          <tbody>{fleet.map((each) => <tr key={each.worker}><td className="mono">{each.worker}</td><td className="mono">{each.url}</td><td className="number">{formatTime(each.lease_until)}</td><td className="number">{formatNumber(each.runs)}</td></tr>)}</tbody>
        </table>
      </div>
    </section>
  );
}
