// Everything that happened to a run, in order.
import { useRef, useState, type KeyboardEvent } from "react";
import { asApiError } from "../api/http";
import { useT } from "../i18n";
import { formatMs } from "../ui/format";
import { toast } from "../ui/toast";
import type { RunEvent } from "./types";
import { earlierEvents } from "./useRun";
import { rowOfKey, useVirtual } from "../ui/useVirtual";

const ROW_PX = 30;
const EARLIER = 1000;

/** What an event says, in one line. */
export function eventText(event: RunEvent): string {
  const parts = [event.name ?? "", event.attempt && event.attempt > 1 ? `#${event.attempt}` : "", event.error ? `${event.error.code}: ${event.error.message}` : "", event.value === undefined ? "" : JSON.stringify(event.value)];
  return parts.filter(Boolean).join("  ").slice(0, 400);
}

interface Props {
  id: string;
  events: RunEvent[];
  before: number;
  begun_ms: number;
  onStep: (path: string) => void;
}

export function HistoryView({ id, events, before, begun_ms, onStep }: Props) {
  const t = useT();
  const frame = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState(0);
  const [earlier, setEarlier] = useState<RunEvent[]>([]);
  const all = earlier.length ? [...earlier, ...events] : events;
  const { first, last, page, show } = useVirtual(frame, all.length, ROW_PX, ROW_PX);
  const left = earlier[0] ? earlier[0].place - 1 : before;
  const more = () => void earlierEvents(id, left, EARLIER).then(
    (found) => setEarlier((known) => [...found, ...known]),
    (reason: unknown) => toast({ text: asApiError(reason).message }),
  );
  const onKeyDown = (event: KeyboardEvent) => {
    const to = rowOfKey(event.key, cursor, all.length, page);
    if (to !== null) {
      setCursor(to);
      show(to);
    } else if (event.key === "Enter" && all[cursor]?.step) onStep(all[cursor].step);
    else return;
    event.preventDefault();
  };
  return (
    <div className="trace">
      {left > 0 && <div className="dag-tools"><button type="button" className="button small" onClick={more}>{t("flows.earlier", { n: left })}</button></div>}
      <div ref={frame} className="log history" role="grid" tabIndex={0} aria-label={t("flows.history")} aria-rowcount={all.length + 1} aria-activedescendant={cursor >= first && cursor < last ? `event-row-${cursor}` : undefined} onKeyDown={onKeyDown}>
        <div className="history-row log-head" role="row" aria-rowindex={1}>
          <span role="columnheader">#</span><span role="columnheader">{t("flows.time")}</span><span role="columnheader">{t("flows.event")}</span><span role="columnheader">{t("flows.step")}</span><span role="columnheader">{t("flows.details")}</span>
        </div>
        <div role="rowgroup" className="log-space" style={{ height: all.length * ROW_PX }} onClick={(event) => {
          const index = Number((event.target as Element).closest("[data-index]")?.getAttribute("data-index") ?? -1);
          if (!all[index]) return;
          setCursor(index);
          if (all[index].step) onStep(all[index].step);
        }}>
          {all.slice(first, last).map((event, offset) => {
            const index = first + offset;
            const text = eventText(event);
            return (
              <div key={event.place} id={`event-row-${index}`} data-index={index} role="row" aria-rowindex={index + 2} className={`history-row log-row ${index === cursor ? "active" : ""}`} style={{ transform: `translateY(${index * ROW_PX}px)` }}>
                <span role="gridcell" className="number muted">{event.place}</span>
                <span role="gridcell" className="number" title={new Date(event.at_ms).toISOString()}>+{formatMs(Math.max(0, event.at_ms - begun_ms))}</span>
                <span role="gridcell" className={event.error ? "event-bad" : ""}>{event.event}</span>
                <span role="gridcell" className="mono">{event.step ?? ""}</span>
                <span role="gridcell" className="mono muted" title={text}>{text}</span>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
