// Knowledge: bases and their documents, passages that answer a question, statements that contradict
// one another; a document opens beside them at the cited place.
import { useEffect, useRef, useState } from "react";
import { ApiError, request } from "../api/http";
import { useResource } from "../api/resource";
import { navigate, useRoute } from "../app/router";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { formatBytes, formatCount, formatTime } from "../ui/format";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { toast } from "../ui/toast";
import { DocumentDrawer } from "./DocumentDrawer";
import { citationText, type Base, type Citation, type Conflict, type KnowledgeDocument, type Passage, type Upload } from "./types";

const TYPING_MS = 250;

function useAnswer(text: string, base: string) {
  const [passages, setPassages] = useState<Passage[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    if (!text) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      request("/v1/knowledge/search", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ query: text, base, limit: 20 }),
        signal: abort.signal,
      })
        .then((response) => response.json() as Promise<{ data: Passage[] }>)
        .then(({ data }) => { setPassages(data); setError(null); })
        .catch((reason: unknown) => {
          if (!abort.signal.aborted) setError(reason instanceof ApiError ? reason : new ApiError("server", String(reason)));
        });
    }, TYPING_MS);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [text, base]);
  return { passages: text ? passages : null, error: text ? error : null };
}

function Upload({ base, done }: { base: string; done: () => void }) {
  const t = useT();
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState("");
  const send = async (files: FileList) => {
    for (const [at, file] of [...files].entries()) {
      setBusy(`${at + 1}/${files.length} ${file.name}`);
      const query = new URLSearchParams({ name: file.name, uri: `upload:${file.name}` });
      try {
        const response = await request(`/v1/knowledge/${encodeURIComponent(base)}/documents?${query}`, { method: "PUT", body: file });
        const made = (await response.json()) as Upload;
        toast({ text: `${made.title}: ${t(`knowledge.how.${made.how}`)}` });
      } catch (error) {
        toast({ text: `${file.name}: ${error instanceof ApiError ? error.message : String(error)}` });
      }
    }
    setBusy("");
    done();
  };
  return (
    <>
      <input ref={input} type="file" multiple hidden aria-label={t("knowledge.upload")} onChange={(event) => { if (event.target.files?.length) void send(event.target.files); event.target.value = ""; }} />
      <button type="button" className="button primary" disabled={busy !== ""} onClick={() => input.current?.click()}>
        <Icon name="plus" size={16} /> {busy || t("knowledge.upload")}
      </button>
    </>
  );
}

function Cited({ at, onOpen }: { at: Citation; onOpen: (at: Citation) => void }) {
  return <button type="button" className="link" onClick={() => onOpen(at)}>{citationText(at)}</button>;
}

function Passages({ passages, onOpen }: { passages: Passage[]; onOpen: (at: Citation) => void }) {
  const t = useT();
  if (passages.length === 0) return <Empty title={t("knowledge.nothing")}>{t("memory.nothing.do")}</Empty>;
  return (
    <ol className="card hits">
      {passages.map(({ id, text, header, at, also }) => (
        <li key={id} className="hit">
          <p><Cited at={at} onOpen={onOpen} /></p>
          {header && <p className="muted small mono">{header}</p>}
          <p className="memory-content">{text}</p>
          {also.length > 0 && <p className="muted small">{t("knowledge.also")} {also.map((other, n) => <Cited key={n} at={other} onOpen={onOpen} />)}</p>}
        </li>
      ))}
    </ol>
  );
}

function Conflicts({ base, onOpen }: { base: string; onOpen: (at: Citation) => void }) {
  const t = useT();
  const found = useResource<{ data: Conflict[] }>(`/v1/knowledge/conflicts${base ? `?base=${encodeURIComponent(base)}` : ""}`);
  if (found.error) return <Failure error={found.error} retry={found.reload} />;
  if (!found.data) return <Skeleton lines={5} />;
  if (found.data.data.length === 0) return <Empty title={t("knowledge.no_conflicts")}>{t("knowledge.no_conflicts.why")}</Empty>;
  return (
    <ol className="card hits">
      {found.data.data.map(({ subject, attribute, statements }, n) => (
        <li key={n} className="hit">
          <p><strong>{subject}: {attribute}</strong></p>
          {statements.map(({ value, quote, at }, m) => (
            <p key={m} title={quote}><span className="mono">{value}</span> <Cited at={at} onOpen={onOpen} /></p>
          ))}
        </li>
      ))}
    </ol>
  );
}

function Documents({ base, openId, onOpen }: { base: string; openId: string | null; onOpen: (document: KnowledgeDocument) => void }) {
  const t = useT();
  const page = useResource<{ data: KnowledgeDocument[]; next: string }>(`/v1/knowledge/${encodeURIComponent(base)}/documents?limit=1000`);
  if (page.error) return <Failure error={page.error} retry={page.reload} />;
  if (!page.data) return <Skeleton lines={8} />;
  if (page.data.data.length === 0) return <Empty title={t("knowledge.none")}>{t("knowledge.none.do")}</Empty>;
  return (
    <ul className="card hits">
      {page.data.data.map((document) => (
        <li key={document.id} className="hit" aria-current={openId === `${base}/${document.id}` || undefined}>
          <button type="button" className="hit-head" onClick={() => onOpen(document)}>
            <span className="hit-text">{document.title}</span>
            <span className="muted small">
              {document.pages > 0 && `${t("knowledge.pages", { n: document.pages })} · `}
              {t("knowledge.passages", { n: document.passages })} · {formatTime(document.changed_unix_ms)}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

export function KnowledgeScreen() {
  const t = useT();
  const { id, query } = useRoute();
  const [round, setRound] = useState(0);
  const bases = useResource<{ data: Base[] }>("/v1/knowledge");
  const base = query.base || bases.data?.data[0]?.name || "default";
  const text = query.q ?? "";
  const conflicts = query.view === "conflicts";
  const { passages, error } = useAnswer(text, query.base ?? "");
  const go = (next: Record<string, string>, target: string | null = id) =>
    navigate({ screen: "knowledge", id: target, query: { q: text, base: query.base ?? "", view: query.view ?? "", ...next } }, "replace");
  const openAt = (at: Citation) => go({ begin: String(at.begin), end: String(at.end) }, `${at.base}/${at.document}`);
  const changed = () => { bases.reload(); setRound((n) => n + 1); };
  const counted = bases.data?.data.find((each) => each.name === base);

  return (
    <div className={`requests ${id ? "with-detail" : ""}`}>
      <div className="page requests-main scrolls">
        <PageHead title={t("nav.knowledge")} note={t("knowledge.note")}>
          <Upload base={base} done={changed} />
          <button type="button" className="button" aria-pressed={conflicts} onClick={() => go({ view: conflicts ? "" : "conflicts" })}>{t("knowledge.conflicts")}</button>
        </PageHead>
        <div className="filters" role="search">
          <input type="search" className="input filter-text" data-slash aria-label={t("knowledge.search")} placeholder={t("knowledge.search")} value={text} onChange={(event) => go({ q: event.target.value, view: "" })} />
          <select className="select" aria-label={t("knowledge.base")} value={query.base ?? ""} onChange={(event) => go({ base: event.target.value })}>
            <option value="">{t("knowledge.base.any")}</option>
            {bases.data?.data.map(({ name }) => <option key={name} value={name}>{name}</option>)}
          </select>
          {counted && <span className="muted small" role="status">{t("knowledge.stats", { n: formatCount(counted.documents), passages: formatCount(counted.passages), bytes: formatBytes(counted.text_bytes) })}</span>}
        </div>
        {(error ?? bases.error) && <Failure error={(error ?? bases.error)!} retry={bases.reload} />}
        {conflicts && <Conflicts base={query.base ?? ""} onOpen={openAt} />}
        {!conflicts && text && passages && <Passages passages={passages} onOpen={openAt} />}
        {!conflicts && !text && <Documents key={round} base={base} openId={id} onOpen={(document) => go({ begin: "", end: "" }, `${base}/${document.id}`)} />}
      </div>
      {id && <DocumentDrawer key={id} id={id} begin={Number(query.begin || 0)} end={Number(query.end || 0)} onClose={() => go({ begin: "", end: "" }, null)} changed={changed} />}
    </div>
  );
}
