// Memory: what agents know, newest first or as the answer to a question; one entry opens beside it.
// The question and the open entry are in the address, so a view can be sent to someone.
import { useEffect, useState } from "react";
import { useResource } from "../api/resource";
import { navigate, useRoute } from "../app/router";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { formatBytes, formatCount } from "../ui/format";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { AddMemory } from "./AddMemory";
import { CompressDialog } from "./CompressDialog";
import { EntryDrawer } from "./EntryDrawer";
import { ForgetDialog } from "./ForgetDialog";
import { HitList } from "./HitList";
import { ProfileDialog } from "./ProfileDialog";
import { Timeline } from "./Timeline";
import { memoryTypes, type MemoryStats } from "./types";
import { useMemories } from "./useMemories";

const TYPING_MS = 250;

/** The text as typed, and as it is once nobody typed for a moment. */
function useTyped(given: string, settle: (text: string) => void): [string, (text: string) => void] {
  const [typed, setTyped] = useState(given);
  useEffect(() => setTyped(given), [given]);
  useEffect(() => {
    if (typed === given) return;
    const timer = setTimeout(() => settle(typed), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, given, settle]);
  return [typed, setTyped];
}

export function MemoryScreen() {
  const t = useT();
  const { id, query } = useRoute();
  const [adding, setAdding] = useState(false);
  const [upkeep, setUpkeep] = useState<"forget" | "compress" | "profile" | null>(null);
  const asked = { text: query.q ?? "", type: query.type ?? "", user: query.user ?? "" };
  const memories = useMemories(asked);
  const stats = useResource<MemoryStats>("/v1/memories/stats");

  const ask = (next: Partial<typeof asked>) => {
    const { text, type, user } = { ...asked, ...next };
    navigate({ screen: "memory", id, query: { q: text, type, user } }, "replace");
  };
  const [typed, setTyped] = useTyped(asked.text, (text) => ask({ text }));
  const [user, setUser] = useTyped(asked.user, (name) => ask({ user: name }));
  const open = (target: string | null) => navigate({ screen: "memory", id: target, query });
  const changed = () => {
    memories.reload();
    stats.reload();
  };
  const none = memories.entries?.length === 0 && !asked.text;

  return (
    <div className={`requests ${id ? "with-detail" : ""}`}>
      <div className="page requests-main scrolls">
        <PageHead title={t("nav.memory")} note={t("memory.note")}>
          <button type="button" className="button primary" onClick={() => setAdding(true)}>
            <Icon name="plus" size={16} /> {t("memory.add")}
          </button>
          {(["profile", "compress", "forget"] as const).map((each) => (
            <button key={each} type="button" className="button" onClick={() => setUpkeep(each)}>{t(`memory.open.${each}`)}</button>
          ))}
          <button type="button" className="button" onClick={changed}>
            <Icon name="retry" size={16} /> {t("requests.refresh")}
          </button>
        </PageHead>
        <div className="filters" role="search">
          <input type="search" className="input filter-text" data-slash aria-label={t("memory.search")} placeholder={t("memory.search")} value={typed} onChange={(event) => setTyped(event.target.value)} />
          <select className="select" aria-label={t("memory.type")} value={asked.type} onChange={(event) => ask({ type: event.target.value })}>
            <option value="">{t("memory.type.any")}</option>
            {memoryTypes.map((type) => <option key={type} value={type}>{t(`memory.type.${type}`)}</option>)}
          </select>
          <input className="input memory-user" aria-label={t("memory.user")} placeholder={t("memory.user")} value={user} onChange={(event) => setUser(event.target.value)} />
          {stats.data && (
            <span className="muted small" role="status">
              {t("memory.stats", { n: formatCount(stats.data.entries), bytes: formatBytes(stats.data.truth_bytes), embedder: stats.data.embedder || t("memory.no_embedder") })}
              {stats.data.passages > 0 && ` · ${t("memory.passages", { n: formatCount(stats.data.passages) })}`}
              {stats.data.encryption === "subject" && ` · ${t(stats.data.plain > 0 ? "memory.sealing" : "memory.sealed", { keys: formatCount(stats.data.keys), n: formatCount(stats.data.plain) })}`}
              {stats.data.sessions_compressed > 0 && ` · ${t("memory.compressed", { n: stats.data.sessions_compressed, model: stats.data.summaries_by_model, picked: stats.data.summaries_picked })}`}
              {stats.data.summary_error && <span className="danger" title={stats.data.summary_error}> · {t("memory.summary_error")}</span>}
              {stats.data.embeddings_pending > 0 && ` · ${t("memory.pending", { n: stats.data.embeddings_pending })}`}
            </span>
          )}
        </div>
        {memories.error && <Failure error={memories.error} retry={memories.reload} />}
        {!memories.error && !(asked.text ? memories.answer : memories.entries) && <Skeleton lines={10} />}
        {none && <Empty title={t("memory.none")}>{t("memory.none.do")}</Empty>}
        {memories.answer && <HitList answer={memories.answer} openId={id} onOpen={open} />}
        {!asked.text && memories.entries && <Timeline entries={memories.entries} openId={id} onOpen={open} more={memories.more} />}
      </div>
      {id && <EntryDrawer key={id} id={id} onClose={() => open(null)} changed={changed} />}
      {upkeep === "forget" && <ForgetDialog onClose={() => setUpkeep(null)} changed={changed} />}
      {upkeep === "compress" && <CompressDialog user={asked.user} onClose={() => setUpkeep(null)} changed={changed} />}
      {upkeep === "profile" && <ProfileDialog user={asked.user} onClose={() => setUpkeep(null)} />}
      {adding && <AddMemory onClose={() => setAdding(false)} added={(made) => { setAdding(false); changed(); open(made); }} />}
    </div>
  );
}
