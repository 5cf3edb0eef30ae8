// One entry: all that is known of it, every state it had, and the way back to one.
import { useEffect, useRef, useState } from "react";
import { ApiError, request } from "../api/http";
import { useResource } from "../api/resource";
import { useT } from "../i18n";
import { CopyButton } from "../ui/CopyButton";
import { formatTime } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { Facts, Failure, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import type { Memory, MemoryVersion } from "./types";

interface Props {
  id: string;
  onClose: () => void;
  changed: () => void;
}

const timeOrNothing = (unixMs: number) => (unixMs ? formatTime(unixMs) : "");

function About({ memory }: { memory: Memory }) {
  const t = useT();
  return (
    <Facts
      rows={[
        ["ID", <span className="copyable"><span className="mono">{memory.id}</span> <CopyButton text={memory.id} /></span>],
        [t("memory.type"), t(`memory.type.${memory.type}`)],
        [t("memory.user"), memory.user],
        [t("memory.agent"), memory.agent],
        [t("memory.session"), memory.session],
        [t("memory.run"), memory.run],
        [t("memory.created"), timeOrNothing(memory.created_unix_ms)],
        [t("memory.valid_from"), memory.valid_from_unix_ms !== memory.created_unix_ms ? timeOrNothing(memory.valid_from_unix_ms) : ""],
        [t("memory.valid_to"), timeOrNothing(memory.valid_to_unix_ms)],
        [t("memory.expires"), timeOrNothing(memory.expires_unix_ms)],
        [t("memory.importance"), memory.importance.toFixed(2)],
        [t("memory.found"), memory.access_count ? `${memory.access_count} · ${timeOrNothing(memory.accessed_unix_ms)}` : ""],
        [t("memory.pinned"), memory.pinned ? t("yes") : ""],
        [t("memory.metadata"), Object.keys(memory.metadata).length ? <span className="mono">{JSON.stringify(memory.metadata)}</span> : ""],
        [t("memory.sources"), memory.sources.length ? memory.sources.map((each) => each.source).join(", ") : ""],
      ]}
    />
  );
}

export function EntryDrawer({ id, onClose, changed }: Props) {
  const t = useT();
  const path = `/v1/memories/${encodeURIComponent(id)}`;
  const entry = useResource<Memory>(path);
  const history = useResource<{ data: MemoryVersion[] }>(`${path}/history`);
  const [busy, setBusy] = useState(false);
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    head.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);

  const act = async (method: string, url: string, body?: object): Promise<boolean> => {
    setBusy(true);
    try {
      await request(url, { method, headers: { "Content-Type": "application/json" }, ...(body ? { body: JSON.stringify(body) } : {}) });
      return true;
    } catch (error) {
      toast({ text: error instanceof ApiError ? error.message : String(error) });
      return false;
    } finally {
      setBusy(false);
      if (method !== "DELETE") {
        entry.reload();
        history.reload();
      }
      changed();
    }
  };
  const restore = (version: number) => act("POST", `${path}/restore`, { version });
  const remove = async () => {
    const version = entry.data?.version ?? 1;
    if (!(await act("DELETE", path))) return;
    onClose();
    toast({ text: t("memory.removed"), action: { label: t("undo"), run: () => void restore(version) } });
  };
  const gone = entry.error?.kind === "not_found";
  return (
    <aside className="drawer" aria-label={t("memory.entry")} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header className="dialog-head">
        <h2 ref={head} tabIndex={-1}>{t("memory.entry")}</h2>
        <IconButton icon="close" label={t("close")} onClick={onClose} />
      </header>
      {!entry.data && !entry.error && <Skeleton lines={6} />}
      {entry.error && !gone && <Failure error={entry.error} retry={entry.reload} />}
      {gone && <p className="muted">{t("memory.gone")}</p>}
      {entry.data && !gone && (
        <>
          <p className="memory-content">{entry.data.speaker && <strong>{entry.data.speaker}: </strong>}{entry.data.content}</p>
          <div className="row">
            <button type="button" className="button small" disabled={busy} onClick={() => void act("PATCH", path, { pinned: !entry.data?.pinned })}>{t(entry.data.pinned ? "memory.unpin" : "memory.pin")}</button>
            <button type="button" className="button small danger" disabled={busy} onClick={() => void remove()}>{t("memory.remove")}</button>
          </div>
          <About memory={entry.data} />
        </>
      )}
      {history.data && history.data.data.length > 0 && (
        <>
          <h3>{t("memory.history")}</h3>
          <ol className="versions">
            {history.data.data.map((each) => (
              <li key={each.version}>
                <div className="row">
                  <strong>{each.version}</strong> <span>{each.change}</span> <span className="muted small">{formatTime(each.recorded_unix_ms)} {each.by}</span>
                  {(gone || each.version !== entry.data?.version) && each.change !== "removed" && (
                    <button type="button" className="button small" disabled={busy} onClick={() => void restore(each.version)}>{t("memory.restore")}</button>
                  )}
                </div>
                <p className="muted small break">{each.memory.content}</p>
              </li>
            ))}
          </ol>
        </>
      )}
    </aside>
  );
}
