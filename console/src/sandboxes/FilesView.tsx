// The files of a box as a tree: folders open in place, a file shows its beginning, and goes in and
// out.
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, request } from "../api/http";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { formatBytes, formatTime } from "../ui/format";
import { Icon } from "../ui/Icon";
import { toast } from "../ui/toast";
import type { FileEntry, FileList } from "./types";

const SHOWN_BYTES_MAX = 64 * 1024;

export const filesPath = (id: string, path: string) => `/v1/sandboxes/${encodeURIComponent(id)}/files/${path}`;

/** The part after the last slash. */
export function baseName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** A name typed here or of a file here, as it stands in an URL. */
export function encodeName(folder: string, name: string): string {
  return (folder ? `${folder}/` : "") + name.split("/").map(encodeURIComponent).join("/");
}

/** Text, unless a byte says otherwise: a null, or no UTF-8. */
export function decodeText(bytes: Uint8Array, cut: boolean): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: cut });
  } catch {
    return null;
  }
}

export function tell(error: unknown): void {
  toast({ text: error instanceof ApiError ? error.message : String(error) });
}

function useFolder(id: string, path: string, round: number) {
  const [list, setList] = useState<FileList | null>(null);
  const [fault, setFault] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    request(filesPath(id, path), { signal: abort.signal })
      .then(async (response) => {
        setList((await response.json()) as FileList);
        setFault("");
      })
      .catch((error: unknown) => !abort.signal.aborted && setFault(error instanceof Error ? error.message : String(error)));
    return () => abort.abort();
  }, [id, path, round]);
  return { list, fault };
}

interface TreeProps {
  id: string;
  path: string;
  round: number;
  chosen: string | null;
  choose: (entry: FileEntry) => void;
}

function Folder({ id, path, round, chosen, choose }: TreeProps) {
  const t = useT();
  const { list, fault } = useFolder(id, path, round);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  if (fault) return <p className="muted small" role="alert">{fault}</p>;
  if (!list) return <p className="muted small">{t("loading")}</p>;
  if (list.data.length === 0) return <p className="muted small">{t("sandboxes.files.empty")}</p>;
  const toggle = (entry: FileEntry) => {
    const next = new Set(open);
    if (!next.delete(entry.path)) next.add(entry.path);
    setOpen(next);
    choose(entry);
  };
  return (
    <ul className="tree">
      {list.data.map((entry) => {
        const folder = entry.type === "folder";
        const shown = open.has(entry.path);
        return (
          <li key={entry.path}>
            <button
              type="button"
              className="tree-row"
              aria-expanded={folder ? shown : undefined}
              aria-current={chosen === entry.path || undefined}
              onClick={() => (folder ? toggle(entry) : choose(entry))}
            >
              <span className="tree-mark" aria-hidden="true">{folder ? (shown ? "▾" : "▸") : ""}</span>
              <span className="break">{baseName(entry.name)}{folder ? "/" : ""}{entry.link_target !== undefined && <span className="muted"> → {entry.link_target}</span>}</span>
              {!folder && <span className="muted small number">{formatBytes(entry.bytes)}</span>}
            </button>
            {folder && shown && <Folder id={id} path={entry.path} round={round} chosen={chosen} choose={choose} />}
          </li>
        );
      })}
      {list.truncated && <li className="muted small">{t("sandboxes.files.more")}</li>}
    </ul>
  );
}

function Content({ id, entry, removed }: { id: string; entry: FileEntry; removed: () => void }) {
  const t = useT();
  const [text, setText] = useState<string | null | undefined>(undefined); // null: no text
  const [asking, setAsking] = useState(false);
  const folder = entry.type === "folder";
  useEffect(() => {
    setText(undefined);
    if (folder || entry.type === "other") return;
    const abort = new AbortController();
    request(filesPath(id, entry.path), { signal: abort.signal, headers: { Range: `bytes=0-${SHOWN_BYTES_MAX - 1}` } })
      .then(async (response) => setText(decodeText(new Uint8Array(await response.arrayBuffer()), entry.bytes > SHOWN_BYTES_MAX)))
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        // An empty file has no first byte.
        if (error instanceof ApiError && error.status === 416) setText("");
        else tell(error);
      });
    return () => abort.abort();
  }, [id, entry, folder]);

  const download = async () => {
    try {
      const path = folder ? `/v1/sandboxes/${encodeURIComponent(id)}/archive?gzip=true&path=${entry.path}` : filesPath(id, entry.path);
      const blob = await (await request(path)).blob();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = baseName(entry.name) + (folder ? ".tar.gz" : "");
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (error) {
      tell(error);
    }
  };
  const remove = async () => {
    setAsking(false);
    try {
      await request(`${filesPath(id, entry.path)}${folder ? "?recursive=true" : ""}`, { method: "DELETE" });
      removed();
    } catch (error) {
      tell(error);
    }
  };
  return (
    <div className="file-view">
      <div className="row">
        <h3 className="grow break mono">{entry.name}</h3>
        <button type="button" className="button small" onClick={() => void download()}>{t("sandboxes.files.download")}</button>
        <button type="button" className="button small danger" onClick={() => setAsking(true)}>{t("sandboxes.files.delete")}</button>
      </div>
      <p className="muted small">{entry.mode} · {folder ? t("sandboxes.files.folder") : formatBytes(entry.bytes)} · {formatTime(entry.modified_at_ms)}</p>
      {text === null && <p className="muted">{t("sandboxes.files.binary")}</p>}
      {typeof text === "string" && <pre className="sandbox-output" tabIndex={0} aria-label={entry.name}>{text}</pre>}
      {typeof text === "string" && entry.bytes > SHOWN_BYTES_MAX && <p className="muted small">{t("sandboxes.files.beginning", { bytes: formatBytes(SHOWN_BYTES_MAX) })}</p>}
      {asking && (
        <Dialog label={t("sandboxes.files.delete")} onClose={() => setAsking(false)}>
          <h2>{t("sandboxes.files.delete.what", { name: entry.name })}</h2>
          {folder && <p>{t("sandboxes.files.delete.all")}</p>}
          <div className="row">
            <button type="button" className="button" onClick={() => setAsking(false)}>{t("cancel")}</button>
            <button type="button" className="button danger" onClick={() => void remove()}>{t("sandboxes.files.delete")}</button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

export function FilesView({ id }: { id: string }) {
  const t = useT();
  const [chosen, setChosen] = useState<FileEntry | null>(null);
  const [round, setRound] = useState(0);
  const picker = useRef<HTMLInputElement>(null);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const folder = chosen?.type === "folder" ? chosen.path : (chosen?.path.split("/").slice(0, -1).join("/") ?? "");

  const upload = async (picked: File[]) => {
    for (const file of picked) {
      try {
        await request(filesPath(id, encodeName(folder, file.name)), { method: "PUT", body: file });
      } catch (error) {
        tell(error);
      }
    }
    again();
  };
  return (
    <section className="card">
      <div className="row">
        <h2 className="grow">{t("sandboxes.files")}</h2>
        <button type="button" className="button small" onClick={again}><Icon name="retry" size={16} /> {t("requests.refresh")}</button>
        <button type="button" className="button small" onClick={() => picker.current?.click()}>{t("sandboxes.files.upload", { folder: folder ? decodeURIComponent(folder) : "/workspace" })}</button>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          data-upload
          onChange={(event) => {
            void upload([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
      </div>
      <div className="files">
        <div className="tree-frame"><Folder id={id} path="" round={round} chosen={chosen?.path ?? null} choose={setChosen} /></div>
        {chosen
          ? <Content key={chosen.path} id={id} entry={chosen} removed={() => { setChosen(null); again(); }} />
          : <p className="muted">{t("sandboxes.files.choose")}</p>}
      </div>
    </section>
  );
}
