// What a step asks a person, and their answer: approve, edit a draft, fill in a form, or reject.
import { useState } from "react";
import { ApiError, asApiError, postJson } from "../api/http";
import { loadText, saveText } from "../app/storage";
import { useT } from "../i18n";
import { formatTime } from "../ui/format";
import { runPath } from "./bulk";
import { SchemaForm, useForm } from "./SchemaForm";
import type { Schema } from "./schema";
import type { Json, Question } from "./types";

/** The schema of an answer: the step's own, else what its draft is. */
export function schemaOf(question: Question): Schema {
  if (question.form !== undefined) return question.form as Schema;
  if (typeof question.draft === "string") return { type: "string", format: "textarea" };
  return true;
}

interface Props {
  run: string;
  path: string;
  question: Question;
  onDone: () => void;
}

export function HumanForm({ run, path, question, onDone }: Props) {
  const t = useT();
  const gives = question.ask !== "approve";
  const form = useForm(schemaOf(question), question.draft);
  const [by, setBy] = useState(() => loadText("flows_by") ?? "");
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const send = async (decision: string, answer: Json | undefined) => {
    setBusy(true);
    saveText("flows_by", by || null);
    try {
      await postJson(`${runPath(run)}/answer`, { step: path, decision, ...(answer === undefined ? {} : { answer }), ...(by ? { by } : {}) });
      setError(null);
      onDone();
    } catch (reason) {
      setError(asApiError(reason));
    }
    setBusy(false);
  };
  const people = question.escalated_to ?? question.assignees ?? [];
  return (
    <form className="human" aria-label={t("flows.human")} onSubmit={(event) => { event.preventDefault(); if (gives ? form.ready : true) void send(gives ? "answered" : "approved", gives ? form.value : why || undefined); }}>
      <h3>{t(`flows.ask.${question.ask}`)}</h3>
      <p className="human-prompt">{typeof question.prompt === "string" ? question.prompt : JSON.stringify(question.prompt)}</p>
      {people.length > 0 && <p className="muted small">{t("flows.asked", { people: people.join(", ") })}</p>}
      {question.deadline_ms && <p className="muted small">{t("flows.deadline", { time: formatTime(question.deadline_ms) })}</p>}
      {gives && <SchemaForm form={form} />}
      <label className="field"><span>{t(gives ? "flows.reject.why" : "flows.comment")}</span><input className="input" value={why} onChange={(event) => setWhy(event.target.value)} /></label>
      <label className="field"><span>{t("flows.by")}</span><input className="input" value={by} autoComplete="name" onChange={(event) => setBy(event.target.value)} /></label>
      {error && <p className="wrong" role="alert">{error.message}</p>}
      <div className="row">
        <button type="submit" className="button primary" disabled={busy || (gives && (!form.ready || form.value === undefined))}>{t(gives ? "flows.send" : "flows.approve")}</button>
        <button type="button" className="button danger" disabled={busy} onClick={() => void send("rejected", why || undefined)}>{t("flows.reject")}</button>
      </div>
    </form>
  );
}
