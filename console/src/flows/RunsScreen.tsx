// Runs: the list, or one of them. Filters are in the address, so that a view can be sent.
import { useCallback, useMemo, useState } from "react";
import { navigate, useRoute } from "../app/router";
import { useCommands } from "../app/screenCommands";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { BulkDialog } from "./BulkDialog";
import type { BulkKind } from "./bulk";
import { FlowTabs } from "./FlowTabs";
import { RunFilters } from "./RunFilters";
import { filterOf, queryOf, type RunFilter } from "./runList";
import { RunScreen } from "./RunScreen";
import { RunTable } from "./RunTable";
import { StartDialog } from "./StartDialog";
import { isFinal } from "./types";
import { useRuns } from "./useRuns";
import "./flows.css";

const NONE: ReadonlySet<string> = new Set();

export function RunsScreen() {
  const { id } = useRoute();
  return id ? <RunScreen key={id} id={id} /> : <RunList />;
}

function RunList() {
  const t = useT();
  const { query } = useRoute();
  const [live, setLive] = useState(true);
  const [starting, setStarting] = useState(false);
  const [selected, setSelected] = useState(NONE);
  const [bulk, setBulk] = useState<BulkKind | null>(null);
  const filter = useMemo(() => filterOf(query), [query]);
  const asked = useMemo(() => queryOf(filter).toString(), [filter]);
  const runs = useRuns(asked, live);
  const { list, counts, error } = runs;

  const setFilter = (next: RunFilter) => {
    setSelected(NONE);
    navigate({ screen: "runs", query: { ...next } }, "replace");
  };
  const open = useCallback((id: string) => navigate({ screen: "runs", id }), []);
  const commands = useMemo(() => {
    const group = t("nav.runs");
    const only = (next: Record<string, string>) => () => navigate({ screen: "runs", query: next }, "replace");
    return [
      { id: "runs.start", title: t("flows.start"), group, run: () => setStarting(true) },
      { id: "runs.failed", title: t("flows.only_failed"), group, run: only({ status: "failed" }) },
      { id: "runs.human", title: t("flows.only_human"), group, run: only({ waiting: "human" }) },
    ];
  }, [t]);
  useCommands(commands);

  const rows = list?.rows ?? [];
  const picked = rows.filter((row) => selected.has(row.id));
  const fitting = picked.filter((row) => (bulk === "retry" ? row.status === "failed" : !isFinal(row.status)));
  return (
    <div className="requests">
      <div className="page requests-main flows">
        <PageHead title={t("nav.runs")} note={t("flows.note")}>
          <button type="button" className="button" aria-pressed={live} onClick={() => setLive(!live)}>
            <span className={`dot ${live ? "dot-up" : ""}`} aria-hidden="true" /> {t("requests.tail")}
          </button>
          <button type="button" className="button primary" onClick={() => setStarting(true)}><Icon name="play" size={16} /> {t("flows.start")}</button>
        </PageHead>
        <FlowTabs />
        <RunFilters filter={filter} counts={counts} onChange={setFilter} />
        {selected.size > 0 && (
          <div className="bulk-bar" role="status">
            <strong>{t("flows.selected", { n: selected.size })}</strong>
            <button type="button" className="button small" onClick={() => setSelected(new Set(rows.map((row) => row.id)))}>{t("flows.select_all", { n: rows.length })}</button>
            <button type="button" className="button small" onClick={() => setBulk("retry")}><Icon name="retry" size={14} /> {t("flows.retry")}</button>
            <button type="button" className="button small danger" onClick={() => setBulk("cancel")}><Icon name="stop" size={14} /> {t("flows.cancel")}</button>
            <button type="button" className="button small" onClick={() => setSelected(NONE)}>{t("flows.select_none")}</button>
          </div>
        )}
        {error && <Failure error={error} retry={runs.refresh} />}
        {!error && !list && <Skeleton lines={10} />}
        {list && rows.length === 0 && asked === "" && <Empty title={t("flows.none")}>{t("flows.none.do")}</Empty>}
        {list && (rows.length > 0 || asked !== "") && (
          <RunTable rows={rows} total={counts?.total ?? rows.length} selected={selected} onSelect={setSelected} onOpen={open} onEnd={list.end ? undefined : runs.loadOlder} onView={runs.setView} />
        )}
      </div>
      {starting && <StartDialog onClose={() => setStarting(false)} />}
      {bulk && <BulkDialog kind={bulk} ids={fitting.map((row) => row.id)} skipped={selected.size - fitting.length} onClose={(changed) => { setBulk(null); if (changed) { setSelected(NONE); runs.refresh(); } }} />}
    </div>
  );
}
