import { useId } from "react";
import { useResource } from "../api/resource";
import { useT } from "../i18n";
import { formatNumber } from "../ui/format";
import { runStatuses, type RunCounts, type WorkflowHead } from "./types";
import type { RunFilter } from "./runList";
import { StatusMark, statusKey } from "./Status";

interface Props {
  filter: RunFilter;
  counts: RunCounts | null;
  onChange: (filter: RunFilter) => void;
}

export function RunFilters({ filter, counts, onChange }: Props) {
  const t = useT();
  const waits = useId();
  const workflows = useResource<{ data: WorkflowHead[] }>("/v1/workflows");
  const set = (name: keyof RunFilter) => (event: { target: { value: string } }) => onChange({ ...filter, [name]: event.target.value });
  const names = [...new Set([...(workflows.data?.data.map(({ name }) => name) ?? []), ...(filter.workflow ? [filter.workflow] : [])])];
  return (
    <>
      <div className="filters run-filters" role="search">
        <input type="search" className="input filter-text" data-slash aria-label={t("flows.filter.text")} placeholder={t("flows.filter.text")} value={filter.text} onChange={set("text")} />
        <select className="select" aria-label={t("flows.column.workflow")} value={filter.workflow} onChange={set("workflow")}>
          <option value="">{t("flows.filter.any_workflow")}</option>
          {names.map((name) => <option key={name}>{name}</option>)}
        </select>
        <input className="input filter-wait" list={waits} aria-label={t("flows.filter.waiting")} placeholder={t("flows.filter.waiting")} value={filter.waiting} onChange={set("waiting")} />
        <datalist id={waits}>
          <option value="human">{t("flows.filter.human")}</option>
          <option value="signal:">{t("flows.filter.signal")}</option>
          <option value="event/">{t("flows.filter.event")}</option>
          <option value="time">{t("flows.filter.time")}</option>
        </datalist>
        <input className="input filter-label" aria-label={t("flows.filter.label")} placeholder={t("flows.filter.label")} value={filter.label} onChange={set("label")} />
        <label className="filter-day">{t("flows.filter.from")} <input type="date" className="input" value={filter.from} onChange={set("from")} /></label>
        <label className="filter-day">{t("flows.filter.to")} <input type="date" className="input" value={filter.to} onChange={set("to")} /></label>
      </div>
      <div className="status-filter" role="group" aria-label={t("column.status")}>
        <button type="button" aria-pressed={filter.status === ""} onClick={() => onChange({ ...filter, status: "" })}>{t("flows.filter.all")}</button>
        {runStatuses.map((status) => (
          <button key={status} type="button" aria-pressed={filter.status === status} onClick={() => onChange({ ...filter, status: filter.status === status ? "" : status })}>
            <StatusMark status={status} /> {t(statusKey(status))}
            {counts && <span className="number count">{formatNumber(counts.status[status])}</span>}
          </button>
        ))}
        <span className="muted small" role="status">{counts ? t("flows.count", { total: formatNumber(counts.total), waiting: formatNumber(counts.waiting) }) : ""}</span>
      </div>
    </>
  );
}
