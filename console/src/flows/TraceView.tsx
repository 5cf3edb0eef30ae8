// The waterfall of a run: a row a step, bars for attempts, waits and what steps hold, over time.
// One tab stop: up and down walk rows, Enter opens one, + and - zoom, left and right move in time.
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type MouseEvent } from "react";
import { useT } from "../i18n";
import { formatMs } from "../ui/format";
import type { Fold, SpanKind } from "./fold";
import { rowOfKey, useVirtual } from "../ui/useVirtual";
import { barOf, marksOf, pan, rowsOf, wholeWindow, zoom, type Window } from "./waterfall";

const ROW_PX = 26;
const kinds: SpanKind[] = ["run", "failed", "wait", "backoff", "open"];

interface Props {
  fold: Fold;
  version: number;
  over: boolean;
  chosen: string | null;
  onChoose: (path: string) => void;
}

export function TraceView({ fold, version, over, chosen, onChoose }: Props) {
  const t = useT();
  const frame = useRef<HTMLDivElement>(null);
  const [now, setNow] = useState(() => Date.now());
  const [part, setPart] = useState<Window | null>(null); // null: the whole
  const [cursor, setCursor] = useState(0);
  const rows = useMemo(() => rowsOf(fold), [fold, version]);
  const { first, last, page, show } = useVirtual(frame, rows.length, ROW_PX, ROW_PX);
  useEffect(() => {
    if (over) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [over]);
  const end = over ? (fold.ended_ms ?? fold.last_ms) : Math.max(now, fold.last_ms);
  const whole = wholeWindow(fold.begun_ms, end);
  const window = part ?? whole;
  const set = (next: Window) => setPart(next.from_ms <= whole.from_ms && next.to_ms >= whole.to_ms ? null : next);
  const onKeyDown = (event: KeyboardEvent) => {
    const to = rowOfKey(event.key, cursor, rows.length, page);
    if (to !== null) {
      setCursor(to);
      show(to);
    } else if (event.key === "+" || event.key === "=") set(zoom(window, whole, 0.5));
    else if (event.key === "-") set(zoom(window, whole, 2));
    else if (event.key === "ArrowLeft") set(pan(window, whole, -0.2));
    else if (event.key === "ArrowRight") set(pan(window, whole, 0.2));
    else if (event.key === "0") setPart(null);
    else if (event.key === "Enter" && rows[cursor]) onChoose(rows[cursor].trace.path);
    else return;
    event.preventDefault();
  };
  // Browsers let a page stop the wheel only when it says so beforehand.
  const latest = useRef({ window, whole, set });
  latest.current = { window, whole, set };
  useEffect(() => {
    const element = frame.current;
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const track = element?.querySelector(".trace-track")?.getBoundingClientRect();
      const share = track ? Math.min(1, Math.max(0, (event.clientX - track.left) / track.width)) : 0.5;
      const { window: shown, whole: all, set: change } = latest.current;
      change(zoom(shown, all, event.deltaY > 0 ? 1.25 : 0.8, share));
    };
    element?.addEventListener("wheel", onWheel, { passive: false });
    return () => element?.removeEventListener("wheel", onWheel);
  }, []);
  const onClick = (event: MouseEvent) => {
    const index = Number((event.target as Element).closest("[data-index]")?.getAttribute("data-index") ?? -1);
    if (!rows[index]) return;
    setCursor(index);
    onChoose(rows[index].trace.path);
  };
  const marks = marksOf(window, whole, 6);
  return (
    <div className="trace">
      <div className="dag-tools">
        <button type="button" className="button small" aria-label={t("flows.zoom.out")} disabled={part === null} onClick={() => set(zoom(window, whole, 2))}>−</button>
        <button type="button" className="button small" disabled={part === null} onClick={() => setPart(null)}>{t("flows.zoom.fit")}</button>
        <button type="button" className="button small" aria-label={t("flows.zoom.in")} onClick={() => set(zoom(window, whole, 0.5))}>+</button>
        <ul className="dag-legend trace-legend">{kinds.map((kind) => <li key={kind}><span className={`trace-swatch bar-${kind}`} aria-hidden="true" /> {t(`flows.span.${kind}`)}</li>)}</ul>
        <span className="muted small">{t("flows.trace.keys")}</span>
      </div>
      <div ref={frame} className="log trace-frame" role="grid" tabIndex={0} aria-label={t("flows.trace")} aria-rowcount={rows.length + 1} aria-activedescendant={cursor >= first && cursor < last ? `trace-row-${cursor}` : undefined} onKeyDown={onKeyDown}>
        <div className="trace-row log-head" role="row" aria-rowindex={1}>
          <span role="columnheader">{t("flows.step")}</span>
          <span role="columnheader" className="trace-track" aria-label={t("flows.time")}>
            {marks.map((mark) => <span key={mark.ms} className="trace-mark number" style={{ left: `${mark.at}%` }}>{mark.ms === 0 ? "0" : formatMs(mark.ms)}</span>)}
          </span>
          <span role="columnheader" className="trace-ms">{t("flows.column.took")}</span>
        </div>
        <div role="rowgroup" className="log-space" style={{ height: rows.length * ROW_PX }} onClick={onClick}>
          {rows.slice(first, last).map(({ trace, depth }, offset) => {
            const index = first + offset;
            const spans = trace.spans;
            const took = (spans[spans.length - 1]?.to_ms ?? end) - spans[0]!.from_ms;
            const words = spans.map((span) => `${t(`flows.span.${span.kind}`)} ${formatMs((span.to_ms ?? end) - span.from_ms)}`).join(", ");
            return (
              <div key={trace.path} id={`trace-row-${index}`} data-index={index} role="row" aria-rowindex={index + 2} aria-selected={trace.path === chosen} className={`trace-row log-row ${index === cursor ? "active" : ""}`} style={{ transform: `translateY(${index * ROW_PX}px)` }}>
                <span role="gridcell" className="trace-name" style={{ paddingLeft: depth * 12 }} title={trace.path}>{trace.path}</span>
                <span role="gridcell" className="trace-track" aria-label={words}>
                  {spans.map((span, n) => {
                    const bar = barOf(span, window, end);
                    return bar && <span key={n} className={`trace-bar bar-${span.kind}`} style={{ left: `${bar.left}%`, width: `max(2px, ${bar.width}%)` }} title={span.error?.message ?? t(`flows.span.${span.kind}`)} />;
                  })}
                </span>
                <span role="gridcell" className="trace-ms number">{formatMs(took)}</span>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
