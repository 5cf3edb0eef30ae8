// The log as a grid that draws only the rows in view: 100,000 rows cost what 40 do. Arrow keys move,
// Enter opens. Rows are divs with ARIA roles because table rows cannot be placed absolutely.
import { memo, useEffect, useRef, useState, type KeyboardEvent, type MouseEvent } from "react";
import type { RequestRecord } from "../api/types";
import { useT, type Key } from "../i18n";
import { formatMs, formatNumber, formatTime } from "../ui/format";
import { rowOfKey, useVirtual } from "../ui/useVirtual";
import { failed } from "./log";

const ROW_PX = 38;

interface Props {
  records: RequestRecord[];
  openId: string | null;
  onOpen: (id: string | null) => void;
  onEnd?: (() => void) | undefined;
}

const columns: [string, Key][] = [
  ["time", "column.time"],
  ["status", "column.status"],
  ["path", "column.path"],
  ["model", "column.model"],
  ["tokens", "column.tokens"],
  ["ttft", "column.ttft"],
  ["rate", "column.rate"],
  ["total", "column.total"],
];

export function RequestTable({ records, openId, onOpen, onEnd }: Props) {
  const t = useT();
  const grid = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState(0);
  const { first, last, page, show } = useVirtual(grid, records.length, ROW_PX, ROW_PX);

  useEffect(() => {
    if (last >= records.length) onEnd?.();
  }, [last, records.length, onEnd]);

  const onKeyDown = (event: KeyboardEvent) => {
    const target = rowOfKey(event.key, cursor, records.length, page);
    if (target !== null) {
      setCursor(target);
      show(target);
    } else if (event.key === "Enter" && records[cursor]) onOpen(records[cursor].id);
    else return;
    event.preventDefault();
  };

  const onClick = (event: MouseEvent) => {
    const row = (event.target as Element).closest("[data-index]");
    const index = Number(row?.getAttribute("data-index") ?? -1);
    const record = records[index];
    if (!record) return;
    setCursor(index);
    onOpen(record.id);
  };

  return (
    <div
      ref={grid}
      className="log"
      role="grid"
      tabIndex={0}
      aria-label={t("requests.rows")}
      aria-rowcount={records.length + 1}
      aria-activedescendant={cursor >= first && cursor < last ? `request-row-${cursor}` : undefined}
      onKeyDown={onKeyDown}
    >
      <div className="log-row log-head" role="row" aria-rowindex={1}>
        {columns.map(([name, label]) => <span key={name} role="columnheader" className={`col-${name}`}>{t(label)}</span>)}
      </div>
      <div role="rowgroup" className="log-space" style={{ height: records.length * ROW_PX }} onClick={onClick}>
        {records.slice(first, last).map((record, offset) => {
          const index = first + offset;
          return <Row key={record.id} record={record} index={index} open={record.id === openId} active={index === cursor} />;
        })}
      </div>
      {records.length === 0 && <p className="muted log-none">{t("requests.no_match")}</p>}
    </div>
  );
}

interface RowProps {
  record: RequestRecord;
  index: number;
  open: boolean;
  active: boolean;
}

const Row = memo(function Row({ record, index, open, active }: RowProps) {
  const state = failed(record) ? "bad" : record.status === 0 ? "running" : "good";
  return (
    <div
      id={`request-row-${index}`}
      data-index={index}
      className={`log-row ${active ? "active" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={open}
      style={{ transform: `translateY(${index * ROW_PX}px)` }}
    >
      <span role="gridcell" className="col-time number">{formatTime(record.unix_ms)}</span>
      <span role="gridcell" className="col-status"><span className={`badge badge-${state}`}>{record.status || "…"}</span></span>
      <span role="gridcell" className="col-path mono">{record.path}</span>
      <span role="gridcell" className="col-model">{record.model}</span>
      <span role="gridcell" className="col-tokens number">{formatNumber(record.prompt_tokens)} → {formatNumber(record.completion_tokens)}</span>
      <span role="gridcell" className="col-ttft number">{formatMs(record.ttft_ms)}</span>
      <span role="gridcell" className="col-rate number">{formatNumber(record.tokens_per_s)}</span>
      <span role="gridcell" className="col-total number">{formatMs(record.total_ms)}</span>
    </div>
  );
});
