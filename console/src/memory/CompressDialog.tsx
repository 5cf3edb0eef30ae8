// What a compression would keep, merge and drop; doing it, and taking it back.
import { useState } from "react";
import { ApiError } from "../api/http";
import { useT } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { formatCount } from "../ui/format";
import { toast } from "../ui/toast";
import { byReason, savedPercent, send, type Compression, type CompressionPlan } from "./upkeep";

interface Policy {
  entries_per_session_max: number;
  importance_min: number;
  merge_similarity: number;
  retain_recent_hours: number;
  summary_sentences_max: number;
}
const fields: [keyof Policy, number, number, number][] = [
  ["entries_per_session_max", 1, 1_000_000, 1],
  ["importance_min", 0, 1, 0.05],
  ["merge_similarity", 0, 1, 0.05],
  ["retain_recent_hours", 0, 1_000_000, 1],
  ["summary_sentences_max", 1, 50, 1],
];

export function CompressDialog({ user, onClose, changed }: { user: string; onClose: () => void; changed: () => void }) {
  const t = useT();
  const [policy, setPolicy] = useState<Policy>({ entries_per_session_max: 1000, importance_min: 0.3, merge_similarity: 0.8, retain_recent_hours: 24, summary_sentences_max: 3 });
  const [session, setSession] = useState("");
  const [plan, setPlan] = useState<CompressionPlan | null>(null);
  const [busy, setBusy] = useState(false);

  const run = async <T,>(path: string, body: object): Promise<T | null> => {
    setBusy(true);
    try {
      return await send<T>("POST", path, body);
    } catch (error) {
      toast({ text: error instanceof ApiError ? error.message : String(error) });
      return null;
    } finally {
      setBusy(false);
    }
  };
  const asked = { policy, session, user };
  const look = async () => setPlan(await run<CompressionPlan>("/v1/memories/compress", { ...asked, dry_run: true }));
  const apply = async () => {
    const done = await run<Compression>("/v1/memories/compress", asked);
    if (!done) return;
    changed();
    onClose();
    const takeBack = async () => {
      if (await run<Compression>(`/v1/memories/compressions/${done.id}/undo`, {})) changed();
    };
    toast({ text: t("compress.done", { before: done.entries_before, after: done.entries_after }), action: { label: t("undo"), run: () => void takeBack() } });
  };
  const set = (field: keyof Policy, value: number) => {
    setPolicy({ ...policy, [field]: value });
    setPlan(null);
  };

  return (
    <Dialog label={t("compress.title")} onClose={onClose}>
      <h2>{t("compress.title")}</h2>
      <form
        className="memory-form"
        onSubmit={(event) => {
          event.preventDefault();
          void look();
        }}
      >
        <p className="muted">{t("compress.note")}</p>
        <input className="input" aria-label={t("memory.session")} placeholder={t("memory.session")} value={session} onChange={(event) => { setSession(event.target.value); setPlan(null); }} />
        {fields.map(([field, min, max, step]) => (
          <label key={field} className="row">
            <span>{t(`compress.${field}`)}</span>
            <input className="input" type="number" required min={min} max={max} step={step} value={policy[field]} onChange={(event) => set(field, Number(event.target.value))} />
          </label>
        ))}
        {plan && (
          <div role="status">
            <p>
              <strong>{t("compress.saves", { percent: savedPercent(plan), before: formatCount(plan.tokens_before), after: formatCount(plan.tokens_after) })}</strong>
            </p>
            <p className="muted small">{t("compress.counts", { kept: plan.kept, summaries: plan.summaries, dropped: plan.dropped })}</p>
            <ul className="muted small">
              {byReason(plan.keep).map(([reason, count]) => <li key={`keep ${reason}`}>{t("compress.stay")}: {count} · {reason}</li>)}
              {byReason(plan.drop).map(([reason, count]) => <li key={`drop ${reason}`}>{t("compress.go")}: {count} · {reason}</li>)}
              {plan.merge.slice(0, 5).map((each) => <li key={each.ids[0]} className="break">{t("compress.merge", { n: each.ids.length })}: {each.summary}</li>)}
            </ul>
          </div>
        )}
        <div className="row">
          <button type="button" className="button" onClick={onClose}>{t("cancel")}</button>
          <button type="submit" className="button" disabled={busy}>{t("compress.look")}</button>
          <button type="button" className="button primary" disabled={busy || !plan || plan.kept === plan.entries_before} onClick={() => void apply()}>{t("compress.do")}</button>
        </div>
      </form>
    </Dialog>
  );
}
