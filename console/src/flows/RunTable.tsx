// Runs as a grid that draws only the rows in view. Arrow keys move, Enter opens, Space selects.
import { memo, useEffect, useRef, useState, type KeyboardEvent, type MouseEvent } from "react";
import { useT, type Key } from "../i18n";
import { formatMs, formatTime } from "../ui/format";
import { StatusBadge } from "./Status";
import { isFinal, type RunHead } from "./types";
import { rowOfKey, useVirtual } from "../ui/useVirtual";
import { shortId, usedShort, usedWords, waitWords } from "./words";

const ROW_PX = 38;

interface Props {
  rows: RunHead[];
  total: number;
  selected: ReadonlySet<string>;
  onSelect: (ids: ReadonlySet<string>) => void;
  onOpen: (id: string) => void;
  onEnd?: (() => void) | undefined;
  onView: (first: number, last: number) => void;
}

const columns: [string, Key][] = [
  ["pick", "flows.column.pick"],
  ["state", "column.status"],
  ["flow", "flows.column.workflow"],
  ["why", "flows.column.why"],
  ["id", "flows.column.run"],
  ["used", "flows.column.used"],
  ["begun", "flows.column.started"],
  ["took", "flows.column.took"],
];

export function RunTable({ rows, total, selected, onSelect, onOpen, onEnd, onView }: Props) {
  const t = useT();
  const grid = useRef<HTMLDivElement>(null);
  const withUsed = rows.some((row) => row.totals !== undefined); // servers before that say nothing of it
  const [cursor, setCursor] = useState(0);
  const [anchor, setAnchor] = useState(0);
  const { first, last, page, show } = useVirtual(grid, rows.length, ROW_PX, ROW_PX);
  useEffect(() => onView(first, last), [first, last, onView]);
  useEffect(() => {
    if (last + 600 >= rows.length) onEnd?.(); // before the reader is there
  }, [last, rows.length, onEnd]);

  const toggle = (index: number, range: boolean) => {
    const next = new Set(selected);
    const [from, to] = range ? [Math.min(anchor, index), Math.max(anchor, index)] : [index, index];
    const on = !selected.has(rows[index]?.id ?? "");
    for (const row of rows.slice(from, to + 1)) if (on) next.add(row.id); else next.delete(row.id);
    setAnchor(index);
    onSelect(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const to = rowOfKey(event.key, cursor, rows.length, page);
    if (to !== null) {
      setCursor(to);
      show(to);
      if (event.shiftKey) onSelect(new Set([...selected, ...rows.slice(Math.min(cursor, to), Math.max(cursor, to) + 1).map((row) => row.id)]));
    } else if (event.key === " " && rows[cursor]) toggle(cursor, event.shiftKey);
    else if (event.key === "Enter" && rows[cursor]) onOpen(rows[cursor].id);
    else return;
    event.preventDefault();
  };
  const onClick = (event: MouseEvent) => {
    const target = event.target as Element;
    const index = Number(target.closest("[data-index]")?.getAttribute("data-index") ?? -1);
    const row = rows[index];
    if (!row) return;
    setCursor(index);
    if (target.closest(".col-pick")) toggle(index, event.shiftKey);
    else onOpen(row.id);
  };
  return (
    <div
      ref={grid}
      className={`log runs ${withUsed ? "with-used" : ""}`}
      role="grid"
      tabIndex={0}
      aria-label={t("flows.runs")}
      aria-rowcount={Math.max(total, rows.length) + 1}
      aria-multiselectable="true"
      aria-activedescendant={cursor >= first && cursor < last ? `run-row-${cursor}` : undefined}
      onKeyDown={onKeyDown}
    >
      <div className="log-row log-head" role="row" aria-rowindex={1}>
        {columns.filter(([name]) => withUsed || name !== "used").map(([name, label]) => (
          <span key={name} role="columnheader" className={`col-${name}`}>{name === "pick" ? <span className="visually-hidden">{t(label)}</span> : t(label)}</span>
        ))}
      </div>
      <div role="rowgroup" className="log-space" style={{ height: rows.length * ROW_PX }} onClick={onClick}>
        {rows.slice(first, last).map((row, offset) => (
          <Row key={row.id} row={row} withUsed={withUsed} index={first + offset} picked={selected.has(row.id)} active={first + offset === cursor} />
        ))}
      </div>
      {rows.length === 0 && <p className="muted log-none">{t("flows.no_match")}</p>}
    </div>
  );
}

const labelText = (head: RunHead) => Object.entries(head.labels ?? {}).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ");

const Row = memo(function Row({ row, withUsed, index, picked, active }: { row: RunHead; withUsed: boolean; index: number; picked: boolean; active: boolean }) {
  const t = useT();
  const why = row.error || waitWords(row, t) || labelText(row);
  const end = row.finished_unix_ms ?? (isFinal(row.status) ? row.updated_unix_ms : Math.max(Date.now(), row.started_unix_ms));
  return (
    <div
      id={`run-row-${index}`}
      data-index={index}
      className={`log-row ${active ? "active" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={picked}
      style={{ transform: `translateY(${index * ROW_PX}px)` }}
    >
      <span role="gridcell" className="col-pick"><span className={`pick ${picked ? "picked" : ""}`} aria-hidden="true" /></span>
      <span role="gridcell" className="col-state"><StatusBadge status={row.status} /></span>
      <span role="gridcell" className="col-flow">{row.workflow} <span className="muted small">v{row.version}</span>{row.forked_from && <span className="muted small" title={`${t("flows.forked_from")} ${row.forked_from}`}> · {t("flows.forked")}</span>}</span>
      <span role="gridcell" className="col-why" title={why}>{why}</span>
      <span role="gridcell" className="col-id mono" title={row.id}>{shortId(row.id)}</span>
      {withUsed && <span role="gridcell" className="col-used number" title={usedWords(row, t)}>{usedShort(row)}</span>}
      <span role="gridcell" className="col-begun number">{formatTime(row.started_unix_ms)}</span>
      <span role="gridcell" className="col-took number">{formatMs(end - row.started_unix_ms)}</span>
    </div>
  );
});
