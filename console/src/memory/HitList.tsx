// The answer to a question: hits with bars for what made each score.
import { useT } from "../i18n";
import { formatTime } from "../ui/format";
import { Empty } from "../ui/states";
import type { Answer, Hit, ScoreParts } from "./types";

const signals = ["keyword", "vector", "entity", "time", "session", "substance", "graph"] as const;

function Parts({ parts }: { parts: ScoreParts }) {
  const t = useT();
  const said = signals.filter((name) => parts[name] > 0);
  return (
    <ul className="score-parts" aria-label={t("memory.parts")}>
      {said.map((name) => (
        <li key={name}>
          <span>{t(`memory.signal.${name}`)}</span>
          <span className="score-track" aria-hidden="true"><span className={`score-bar signal-${name}`} style={{ width: `${Math.min(1, parts[name]) * 100}%` }} /></span>
          <span className="number">{parts[name].toFixed(2)}</span>
        </li>
      ))}
    </ul>
  );
}

/** The content with the query's words marked: terms are stems, so a word that begins with one is. */
function Marked({ text, terms }: { text: string; terms: string[] }) {
  const known = terms.filter((term) => term.length > 2).map((term) => term.toLowerCase());
  const words = text.split(/(\s+)/);
  return <>{words.map((word, at) => (known.some((term) => word.toLowerCase().replace(/^\W+/, "").startsWith(term)) ? <mark key={at}>{word}</mark> : word))}</>;
}

function Row({ hit, open, onOpen }: { hit: Hit; open: boolean; onOpen: () => void }) {
  const { memory, parts } = hit;
  return (
    <li className="hit" aria-current={open || undefined}>
      <button type="button" className="hit-head" onClick={onOpen}>
        <span className="hit-score number">{hit.score.toFixed(3)}</span>
        <span className="hit-text">
          {memory.speaker && <strong>{memory.speaker}: </strong>}
          <Marked text={memory.content} terms={parts?.terms ?? []} />
        </span>
        <span className="muted small">{formatTime(memory.created_unix_ms)}</span>
      </button>
      {parts && <Parts parts={parts} />}
    </li>
  );
}

export function HitList({ answer, openId, onOpen }: { answer: Answer; openId: string | null; onOpen: (id: string) => void }) {
  const t = useT();
  if (answer.data.length === 0) return <Empty title={t("memory.nothing")}>{t("memory.nothing.do")}</Empty>;
  return (
    <section className="card">
      <p className="muted small" role="status">
        {t("memory.answered", { n: answer.data.length, candidates: answer.candidates, confidence: answer.confidence.toFixed(2) })}
        {answer.embedding_missing && ` ${t("memory.words_only")}`}
      </p>
      <ol className="hits">
        {answer.data.map((hit) => <Row key={hit.memory.id} hit={hit} open={hit.memory.id === openId} onOpen={() => onOpen(hit.memory.id)} />)}
      </ol>
      {answer.plan && <p className="muted small mono break">{answer.plan}</p>}
    </section>
  );
}
