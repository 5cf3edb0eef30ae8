// Live interpreters of a box, as a notebook has them: open one, run cells that find what earlier
// ones defined, fork it with all it knows, interrupt it, end it.
import { useState } from "react";
import { request } from "../api/http";
import { useResource } from "../api/resource";
import { useT } from "../i18n";
import { formatMs } from "../ui/format";
import { Empty, Failure } from "../ui/states";
import { tell } from "./FilesView";
import { languages, type CellAnswer, type Language, type Session, type SessionList } from "./types";

interface Cell {
  code: string;
  answer: CellAnswer;
}

const CELLS_MAX = 100;

export function SessionsView({ id }: { id: string }) {
  const t = useT();
  const path = `/v1/sandboxes/${encodeURIComponent(id)}/sessions`;
  const { data, error, reload } = useResource<SessionList>(path);
  const [chosen, setChosen] = useState("");
  const [language, setLanguage] = useState<Language>("python");
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [cells, setCells] = useState<Record<string, Cell[]>>({});
  const sessions = data?.data ?? [];
  const open = sessions.find((each) => each.id === chosen) ?? sessions[0];

  const ask = async (method: string, rest: string, body?: object): Promise<unknown> => {
    try {
      const response = await request(`${path}${rest}`, { method, headers: { "Content-Type": "application/json" }, ...(body ? { body: JSON.stringify(body) } : {}) });
      return await response.json();
    } catch (reason) {
      tell(reason);
      return null;
    } finally {
      reload();
    }
  };
  const begin = async (rest: string, body?: object) => {
    const made = (await ask("POST", rest, body)) as Session | null;
    if (made) setChosen(made.id);
  };
  const run = async (session: Session) => {
    setBusy(true);
    const answer = (await ask("POST", `/${session.id}/cells`, { code })) as CellAnswer | null;
    setBusy(false);
    if (!answer) return;
    setCells((all) => ({ ...all, [session.id]: [...(all[session.id] ?? []), { code, answer }].slice(-CELLS_MAX) }));
    setCode("");
  };

  if (error && !data) return <Failure error={error} retry={reload} />;
  return (
    <section className="card">
      <h2>{t("sandboxes.sessions")}</h2>
      <p className="muted">{t("sandboxes.sessions.note")}</p>
      <div className="row">
        <select className="select" aria-label={t("sandboxes.sessions.language")} value={language} onChange={(event) => setLanguage(event.target.value as Language)}>
          {languages.map((each) => <option key={each} value={each}>{each}</option>)}
        </select>
        <button type="button" className="button" onClick={() => void begin("", { language })}>{t("sandboxes.sessions.open")}</button>
        {sessions.length > 0 && (
          <div className="segments" role="group" aria-label={t("sandboxes.sessions")}>
            {sessions.map((each) => (
              <button key={each.id} type="button" aria-pressed={each === open} onClick={() => setChosen(each.id)}>
                {each.language} {each.id}{each.forked_from ? ` ← ${each.forked_from}` : ""}
              </button>
            ))}
          </div>
        )}
      </div>
      {data && sessions.length === 0 && <Empty title={t("sandboxes.sessions.none")} />}
      {open && (
        <>
          <div className="row">
            <span className="muted small">{open.version} · {open.state} · {t("sandboxes.sessions.cells", { n: open.cells })}</span>
            {open.language === "python" && <button type="button" className="button small" disabled={busy} onClick={() => void begin(`/${open.id}/fork`)}>{t("sandboxes.sessions.fork")}</button>}
            <button type="button" className="button small" disabled={!busy} onClick={() => void ask("POST", `/${open.id}/interrupt`)}>{t("sandboxes.sessions.interrupt")}</button>
            <button type="button" className="button small danger" onClick={() => void ask("DELETE", `/${open.id}`)}>{t("sandboxes.sessions.end")}</button>
          </div>
          <ol className="cells">
            {(cells[open.id] ?? []).map((cell) => <CellView key={cell.answer.number} cell={cell} />)}
          </ol>
          <form onSubmit={(event) => { event.preventDefault(); if (code.trim()) void run(open); }}>
            <textarea className="input mono cell-code" rows={4} aria-label={t("sandboxes.sessions.code")} placeholder={t("sandboxes.sessions.code")} value={code}
              onChange={(event) => setCode(event.target.value)}
              onKeyDown={(event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); event.currentTarget.form?.requestSubmit(); } }} />
            <button type="submit" className="button primary" disabled={busy || !code.trim()}>{t("sandboxes.sessions.run")}</button>
          </form>
        </>
      )}
    </section>
  );
}

function CellView({ cell: { code, answer } }: { cell: Cell }) {
  return (
    <li className="cell">
      <pre className="mono cell-source">{code}</pre>
      <pre className="sandbox-output mono" tabIndex={0}>
        {answer.stdout}
        {answer.stderr && <span className="output-err">{answer.stderr}</span>}
        {answer.result?.["text/plain"]}
        {answer.error && <span className="output-err">{answer.error.traceback || `${answer.error.name}: ${answer.error.message}`}</span>}
      </pre>
      <span className="muted small">[{answer.number}] {answer.status} · {formatMs(answer.duration_ms)}</span>
    </li>
  );
}
