// One request: how its time was spent, its tokens, and where it came from.
import { useEffect, useRef } from "react";
import { useResource } from "../api/resource";
import type { RequestRecord } from "../api/types";
import { useT } from "../i18n";
import { CopyButton } from "../ui/CopyButton";
import { formatMs, formatNumber, formatRate, formatTime } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { Facts, Failure, Skeleton } from "../ui/states";
import { asCurl } from "./log";
import { Waterfall } from "./Waterfall";

interface Props {
  id: string;
  known: RequestRecord | null; // the log's row, shown until the whole record is here
  onClose: () => void;
}

export function RequestDrawer({ id, known, onClose }: Props) {
  const t = useT();
  const full = useResource<RequestRecord>(`/admin/v1/requests/${encodeURIComponent(id)}`);
  const record = full.data ?? known;
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    head.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  // A request that was still running when it was opened is read again once its row has changed.
  const finished = known?.total_ms ?? null;
  const { reload } = full;
  useEffect(() => {
    if (finished !== null) reload();
  }, [finished, reload]);

  return (
    <aside className="drawer" aria-label={t("request.title")} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header className="dialog-head">
        <h2 ref={head} tabIndex={-1}>{t("request.title")}</h2>
        <IconButton icon="close" label={t("close")} onClick={onClose} />
      </header>
      {!record && !full.error && <Skeleton lines={8} />}
      {!record && full.error && <Failure error={full.error} retry={full.reload} />}
      {record && <Detail record={record} />}
    </aside>
  );
}

function Copyable({ text }: { text: string }) {
  return <span className="copyable"><span className="mono">{text}</span> <CopyButton text={text} /></span>;
}

function Detail({ record }: { record: RequestRecord }) {
  const t = useT();
  const curl = asCurl(record, location.origin, t("request.prompt"));
  const cached = record.cached_tokens ? t("stats.cached", { n: record.cached_tokens }) : "";
  return (
    <>
      {record.error && (
        <div className="answer-failure" role="note">
          <strong>{record.error.code}</strong>
          <p>{record.error.message}</p>
        </div>
      )}
      <h3>{t("request.timing")}</h3>
      <Waterfall record={record} />
      <Facts
        rows={[
          ["TTFT", formatMs(record.ttft_ms)],
          [t("column.total"), formatMs(record.total_ms)],
          [t("column.rate"), formatRate(record.tokens_per_s)],
          [t("request.prompt_tokens"), `${formatNumber(record.prompt_tokens)}${cached}`],
          [t("request.completion_tokens"), formatNumber(record.completion_tokens)],
          [t("request.dropped_tokens"), record.context_dropped_tokens ? formatNumber(record.context_dropped_tokens) : ""],
        ]}
      />
      <h3>{t("request.about")}</h3>
      <Facts
        rows={[
          [t("column.status"), `${record.status}${record.finish ? ` · ${record.finish}` : ""}`],
          [t("column.path"), <span className="mono">{record.method} {record.path}</span>],
          [t("column.model"), record.model],
          [t("column.time"), formatTime(record.unix_ms)],
          [t("request.stream"), record.stream ? t("yes") : t("no")],
          [t("request.client"), record.client],
          ["User-Agent", record.user_agent],
          ["ID", <Copyable text={record.id} />],
          [t("request.trace"), record.trace_id && <Copyable text={record.trace_id} />],
        ]}
      />
      {curl && (
        <>
          <h3 className="with-tool">curl <CopyButton text={curl} label={t("request.copy_curl")} /></h3>
          <pre className="snippet" tabIndex={0}>{curl}</pre>
          <p className="muted small">{t("request.curl.note")}</p>
        </>
      )}
    </>
  );
}
