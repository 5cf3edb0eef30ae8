// Requests: the log with filters and a live tail; one request opens beside it. Filters and the open
// request are in the address, so a view can be sent to someone.
import { useMemo, useState } from "react";
import { useCommands } from "../app/screenCommands";
import { navigate, useRoute } from "../app/router";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { FilterBar } from "./FilterBar";
import { matches, type Filter } from "./log";
import { RequestDrawer } from "./RequestDrawer";
import { RequestTable } from "./RequestTable";
import { useLog } from "./useLog";

function filterOf(query: Record<string, string>): Filter {
  const status = query.status === "ok" || query.status === "error" ? query.status : "all";
  return { status, model: query.model ?? "", text: query.q ?? "" };
}

export function RequestsScreen() {
  const t = useT();
  const { id, query } = useRoute();
  const [tail, setTail] = useState(true);
  const log = useLog(tail);
  const filter = useMemo(() => filterOf(query), [query]);
  const shown = useMemo(() => log.records?.filter((record) => matches(record, filter)) ?? [], [log.records, filter]);
  const models = useMemo(() => [...new Set(log.records?.map((record) => record.model).filter(Boolean))].sort(), [log.records]);

  const setFilter = (next: Filter) => {
    const status = next.status === "all" ? "" : next.status;
    navigate({ screen: "requests", id, query: { status, model: next.model, q: next.text } }, "replace");
  };
  const open = (target: string | null) => navigate({ screen: "requests", id: target, query });

  const commands = useMemo(() => {
    const group = t("nav.requests");
    const only = (status: string) => () => navigate({ screen: "requests", query: { status } }, "replace");
    return [
      { id: "requests.errors", title: t("requests.only_errors"), group, run: only("error") },
      { id: "requests.all", title: t("requests.show_all"), group, run: only("") },
      { id: "requests.tail", title: t(tail ? "requests.tail.stop" : "requests.tail.start"), group, run: () => setTail(!tail) },
    ];
  }, [tail, t]);
  useCommands(commands);

  return (
    <div className={`requests ${id ? "with-detail" : ""}`}>
      <div className="page requests-main">
        <PageHead title={t("nav.requests")} note={t("requests.note")}>
          <button type="button" className="button" aria-pressed={tail} onClick={() => setTail(!tail)}>
            <span className={`dot ${tail ? "dot-up" : ""}`} aria-hidden="true" /> {t("requests.tail")}
          </button>
          <button type="button" className="button" onClick={log.reload}>
            <Icon name="retry" size={16} /> {t("requests.refresh")}
          </button>
        </PageHead>
        <FilterBar filter={filter} models={models} shown={shown.length} total={log.records?.length ?? 0} onChange={setFilter} />
        {log.error && !log.records && <Failure error={log.error} retry={log.reload} />}
        {!log.error && !log.records && <Skeleton lines={10} />}
        {log.records?.length === 0 && <Empty title={t("requests.none")}>{t("requests.none.do")}</Empty>}
        {log.records && log.records.length > 0 && (
          <RequestTable records={shown} openId={id} onOpen={open} onEnd={log.more ? log.loadOlder : undefined} />
        )}
      </div>
      {id && <RequestDrawer key={id} id={id} known={log.records?.find((record) => record.id === id) ?? null} onClose={() => open(null)} />}
    </div>
  );
}
