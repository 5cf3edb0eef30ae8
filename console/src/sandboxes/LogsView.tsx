// What the box's commands print, whoever started them: what is kept, then what comes.
import { useEffect, useRef, useState } from "react";
import { request } from "../api/http";
import { readSse } from "../api/sse";
import { useT } from "../i18n";
import { formatTime } from "../ui/format";
import { applyLogEvent, commandLine, type LogEntry } from "./logs";

export function LogsView({ id }: { id: string }) {
  const t = useT();
  const [entries, setEntries] = useState<LogEntry[]>([]);
  const [fault, setFault] = useState("");
  const [round, setRound] = useState(0);
  const frame = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    const abort = new AbortController();
    const follow = async () => {
      const response = await request(`/v1/sandboxes/${encodeURIComponent(id)}/logs?follow=true`, { signal: abort.signal });
      for await (const event of readSse(response.body!)) setEntries((before) => applyLogEvent(before, event));
      throw new Error(t("sandboxes.logs.over"));
    };
    setEntries([]);
    setFault("");
    follow().catch((error: unknown) => !abort.signal.aborted && setFault(error instanceof Error ? error.message : String(error)));
    return () => abort.abort();
  }, [id, round, t]);
  useEffect(() => {
    if (atEnd.current) frame.current?.scrollTo({ top: frame.current.scrollHeight });
  }, [entries]);
  return (
    <section className="card">
      <div className="row">
        <h2 className="grow">{t("sandboxes.logs")}</h2>
        {fault && <button type="button" className="button small" onClick={() => setRound(round + 1)}>{t("retry")}</button>}
      </div>
      {fault && <p className="muted small" role="alert">{fault}</p>}
      <div
        ref={frame}
        className="sandbox-output logs"
        tabIndex={0}
        role="log"
        aria-label={t("sandboxes.logs")}
        onScroll={({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) => (atEnd.current = scrollTop + clientHeight > scrollHeight - 24)}
      >
        {entries.length === 0 && <p className="muted">{t("sandboxes.logs.none")}</p>}
        {entries.map((entry) => (
          <div key={entry.id} className="log-entry">
            <p className="log-command"><span className="mono break">$ {commandLine(entry.argv)}</span> <span className="muted small number">{formatTime(entry.started)}</span></p>
            <pre>{entry.pieces.map((piece, index) => <span key={index} className={`output-${piece.stream}`}>{piece.text}</span>)}</pre>
            {entry.end && (
              <p className="muted small">
                <span className={entry.end.reason === "exited" && entry.end.exit_code === 0 ? "badge" : "badge badge-bad"}>
                  {entry.end.reason === "exited" ? t("sandboxes.logs.exit", { code: entry.end.exit_code }) : entry.end.reason}
                </span>
              </p>
            )}
          </div>
        ))}
      </div>
    </section>
  );
}
