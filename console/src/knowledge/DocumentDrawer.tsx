// One document: what it is, its outline, and its extracted text with the cited place marked.
import { useEffect, useMemo, useRef, useState } from "react";
import { ApiError, request } from "../api/http";
import { useResource } from "../api/resource";
import { useT } from "../i18n";
import { CopyButton } from "../ui/CopyButton";
import { formatBytes, formatTime } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { Facts, Failure, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import { citedParts, type DocumentDetail } from "./types";

const AROUND = 20_000; // characters shown before and after the cited place

interface Props {
  id: string; // "base/document"
  begin: number;
  end: number;
  onClose: () => void;
  changed: () => void;
}

function CitedText({ text, begin, end }: { text: string; begin: number; end: number }) {
  const mark = useRef<HTMLElement>(null);
  const [before, cited, after] = useMemo(() => citedParts(text, begin, end), [text, begin, end]);
  useEffect(() => {
    mark.current?.scrollIntoView({ block: "center" });
  }, [begin, end]);
  return (
    <p className="memory-content">
      {before.slice(-AROUND)}
      {cited && <mark ref={mark}>{cited}</mark>}
      {after.slice(0, AROUND)}
    </p>
  );
}

export function DocumentDrawer({ id, begin, end, onClose, changed }: Props) {
  const t = useT();
  const slash = id.indexOf("/");
  const path = `/v1/knowledge/${encodeURIComponent(id.slice(0, slash))}/documents/${encodeURIComponent(id.slice(slash + 1))}`;
  const found = useResource<DocumentDetail>(path);
  const text = useResource<{ text: string }>(`${path}/text`);
  const [busy, setBusy] = useState(false);
  const [place, setPlace] = useState<[number, number] | null>(null);
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    head.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  useEffect(() => setPlace(null), [begin, end]);
  const remove = async () => {
    setBusy(true);
    try {
      await request(path, { method: "DELETE" });
      toast({ text: t("knowledge.removed") });
      changed();
      onClose();
    } catch (error) {
      toast({ text: error instanceof ApiError ? error.message : String(error) });
      setBusy(false);
    }
  };
  const [from, to] = place ?? [begin, end];
  return (
    <aside className="drawer" aria-label={t("knowledge.document")} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header className="dialog-head">
        <h2 ref={head} tabIndex={-1}>{found.data?.title ?? t("knowledge.document")}</h2>
        <IconButton icon="close" label={t("close")} onClick={onClose} />
      </header>
      {!found.data && !found.error && <Skeleton lines={6} />}
      {found.error && <Failure error={found.error} retry={found.reload} />}
      {found.data && (
        <>
          <Facts
            rows={[
              ["ID", <span className="copyable"><span className="mono">{found.data.id}</span> <CopyButton text={found.data.id} /></span>],
              [t("knowledge.type"), `${found.data.media_type}, ${formatBytes(found.data.bytes)}`],
              ["URI", found.data.uri],
              [t("knowledge.labels"), found.data.labels.join(", ")],
              ["", `${found.data.pages ? `${t("knowledge.pages", { n: found.data.pages })}, ` : ""}${t("knowledge.passages", { n: found.data.passages })}, ${formatTime(found.data.changed_unix_ms)}`],
            ]}
          />
          {found.data.warnings.map((warning) => <p key={warning} className="muted small">{warning}</p>)}
          <div className="row">
            <button type="button" className="button small danger" disabled={busy} onClick={() => void remove()}>{t("knowledge.remove")}</button>
          </div>
          {found.data.outline.length > 0 && (
            <details>
              <summary>{t("knowledge.outline")}</summary>
              <ul className="versions">
                {found.data.outline.map((item) => (
                  <li key={item.begin} style={{ paddingInlineStart: `${(item.level - 1) * 12}px` }}>
                    <button type="button" className="link" onClick={() => setPlace([item.begin, item.begin + new TextEncoder().encode(item.title).length])}>{item.title}</button>
                    {item.page > 0 && <span className="muted small"> {item.page}</span>}
                  </li>
                ))}
              </ul>
            </details>
          )}
        </>
      )}
      <h3>{t("knowledge.text")}</h3>
      {text.data ? <CitedText text={text.data.text} begin={from} end={to} /> : <Skeleton lines={10} />}
    </aside>
  );
}
