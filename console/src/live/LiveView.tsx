// What the live screens share: the span shown, holding it still, and the charts of the samples in it.
import { useEffect, useMemo, useState, type ReactNode } from "react";
import type { Sample } from "../api/types";
import { useCommands } from "../app/screenCommands";
import { load, save } from "../app/storage";
import { useStore } from "../app/store";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { Empty, PageHead, Skeleton } from "../ui/states";
import { Chart } from "./Chart";
import { feedStore } from "./feed";
import { lastSeconds, RANGES_S, type Line } from "./series";

export interface ChartSpec {
  title: string;
  lines: Line[];
  format: (value: number) => string;
  ceiling?: number | null;
  bytes?: boolean;
  whole?: boolean;
}

interface Props {
  title: string;
  note: string;
  specs: (samples: Sample[]) => ChartSpec[];
  head: (last: Sample, shown: Sample[]) => ReactNode;
  children?: ReactNode;
}

export function LiveView({ title, note, specs, head, children }: Props) {
  const t = useT();
  const { samples, link } = useStore(feedStore);
  const [span_s, setSpan] = useState<number>(() => load("live_span_s", 300));
  const [held, setHeld] = useState<Sample[] | null>(null);
  const source = held ?? samples;
  const shown = useMemo(() => lastSeconds(source, span_s), [source, span_s]);
  const times = useMemo(() => shown.map((sample) => sample.unix_ms), [shown]);
  const charts = useMemo(() => specs(shown), [shown, specs]);
  useEffect(() => void save("live_span_s", span_s), [span_s]);

  const toggleHold = () => setHeld(held ? null : samples);
  const commands = useMemo(
    () => [{ id: "live.hold", title: t(held ? "live.resume" : "live.pause"), group: title, run: toggleHold }],
    [held, title, t],
  );
  useCommands(commands);

  const last = source[source.length - 1];
  return (
    <div className="page">
      <PageHead title={title} note={note}>
        <div className="segments" role="group" aria-label={t("live.range")}>
          {RANGES_S.map((seconds) => (
            <button key={seconds} type="button" aria-pressed={span_s === seconds} onClick={() => setSpan(seconds)}>
              {seconds / 60} min
            </button>
          ))}
        </div>
        <button type="button" className="button" aria-pressed={held !== null} onClick={toggleHold}>
          <Icon name={held ? "play" : "pause"} size={16} /> {t(held ? "live.resume" : "live.pause")}
        </button>
      </PageHead>
      {last ? (
        <>
          {head(last, shown)}
          <div className="charts">
            {charts.map((chart) => <Chart key={chart.title} {...chart} times={times} span_s={span_s} />)}
          </div>
          {children}
        </>
      ) : link === "missing" ? (
        <Empty title={t("live.missing")}>{t("live.missing.do")}</Empty>
      ) : (
        <Skeleton lines={8} />
      )}
    </div>
  );
}
