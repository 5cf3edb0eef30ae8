// Facts: what is known of whom, now or on a day, and how names hang together. The name and the day
// are in the address.
import { useState } from "react";
import { useResource } from "../api/resource";
import { formatRoute, navigate, useRoute } from "../app/router";
import { useT } from "../i18n";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { GraphView } from "./GraphView";
import type { Fact, FactGraph, FactList } from "./types";

const DEPTH = 2;
const NAMES_MAX = 60;

function day(unixMs: number): string {
  return unixMs === 0 ? "" : new Date(unixMs).toISOString().slice(0, 10);
}

function FactTable({ facts, onName }: { facts: Fact[]; onName: (name: string) => void }) {
  const t = useT();
  return (
    <div className="table-scroll" tabIndex={0}>
      <table className="facts-table">
        <thead>
          <tr>
            <th>{t("facts.subject")}</th><th>{t("facts.predicate")}</th><th>{t("facts.object")}</th>
            <th>{t("facts.from")}</th><th>{t("facts.to")}</th><th>{t("facts.source")}</th>
          </tr>
        </thead>
        <tbody>
          {facts.map((fact) => (
            <tr key={`${fact.id} ${fact.from_unix_ms}`}>
              <td><button type="button" className="button small" onClick={() => onName(fact.subject)}>{fact.subject}</button></td>
              <td className="mono">{fact.predicate}</td>
              <td><button type="button" className="button small" onClick={() => onName(fact.object)}>{fact.object}</button></td>
              <td>{day(fact.from_unix_ms)}</td>
              <td>{day(fact.to_unix_ms) || t("facts.still")}</td>
              <td>{fact.sources.filter(({ source }) => source.startsWith("mem-")).map(({ source }) => (
                <a key={source} href={formatRoute({ screen: "memory", id: source })} aria-label={`${t("facts.source")} ${source}`}>↗</a>
              ))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Facts of one name with its graph. */
function Around({ name, query, onName }: { name: string; query: string; onName: (name: string) => void }) {
  const t = useT();
  const graph = useResource<FactGraph>(`/v1/facts/graph?${new URLSearchParams({ name, depth: String(DEPTH), limit: String(NAMES_MAX) })}`);
  const facts = useResource<FactList>(`/v1/facts?${query}`);
  const error = facts.error ?? graph.error;
  if (error) return <Failure error={error} retry={() => { facts.reload(); graph.reload(); }} />;
  if (!facts.data || !graph.data) return <Skeleton lines={8} />;
  if (facts.data.data.length === 0 && graph.data.names.length === 0) return <Empty title={t("facts.nobody", { name })}>{t("facts.nobody.do")}</Empty>;
  return (
    <>
      {graph.data.names.length > 1 && <section className="card"><GraphView graph={graph.data} onName={onName} /></section>}
      <section className="card"><FactTable facts={facts.data.data} onName={onName} /></section>
    </>
  );
}

function All({ query, onName }: { query: string; onName: (name: string) => void }) {
  const t = useT();
  const facts = useResource<FactList>(`/v1/facts?${query}`);
  if (facts.error) return <Failure error={facts.error} retry={facts.reload} />;
  if (!facts.data) return <Skeleton lines={8} />;
  if (facts.data.data.length === 0) return <Empty title={t("facts.none")}>{t("facts.none.do")}</Empty>;
  return <section className="card"><FactTable facts={facts.data.data} onName={onName} /></section>;
}

export function FactsScreen() {
  const t = useT();
  const { id, query } = useRoute();
  const [typed, setTyped] = useState(id ?? "");
  const asOf = query.day ?? "";
  const history = query.history === "1";
  const go = (name: string | null, next: { day?: string; history?: string } = {}) => {
    setTyped(name ?? "");
    navigate({ screen: "facts", id: name, query: { day: asOf, history: history ? "1" : "", ...next } });
  };
  const asked = new URLSearchParams({ limit: "200" });
  if (id) asked.set("subject", id);
  if (asOf) asked.set("valid_at_unix_ms", String(Date.parse(`${asOf}T23:59:59Z`)));
  if (history) asked.set("history", "1");

  return (
    <div className="page scrolls">
      <PageHead title={t("nav.facts")} note={t("facts.note")} />
      <form className="filters" role="search" onSubmit={(event) => { event.preventDefault(); go(typed.trim() || null); }}>
        <input type="search" className="input filter-text" data-slash aria-label={t("facts.name")} placeholder={t("facts.name")} value={typed} onChange={(event) => setTyped(event.target.value)} />
        <label className="fact-filter muted small">{t("facts.as_of")} <input type="date" className="input" value={asOf} onChange={(event) => go(id, { day: event.target.value })} /></label>
        <label className="fact-filter muted small"><input type="checkbox" checked={history} onChange={(event) => go(id, { history: event.target.checked ? "1" : "" })} /> {t("facts.history")}</label>
        {id && <button type="button" className="button" onClick={() => go(null)}>{t("facts.all")}</button>}
      </form>
      {id ? <Around key={id} name={id} query={asked.toString()} onName={go} /> : <All query={asked.toString()} onName={go} />}
    </div>
  );
}
