// A JSON value to read, and a field to write one.
import { useState } from "react";
import { useT } from "../i18n";
import { CopyButton } from "../ui/CopyButton";
import type { Json } from "./types";

const SHOWN_MAX = 20_000;

export function pretty(value: Json | undefined): string {
  return value === undefined ? "" : JSON.stringify(value, null, 2);
}

export function JsonBox({ title, value }: { title: string; value: Json | undefined }) {
  const t = useT();
  const [whole, setWhole] = useState(false);
  if (value === undefined) return null;
  const text = typeof value === "string" ? value : pretty(value);
  const cut = text.length > SHOWN_MAX && !whole;
  return (
    <section className="json-box">
      <h3 className="with-tool">{title} <CopyButton text={text} label={t("flows.copy", { what: title })} /></h3>
      <pre className="snippet" tabIndex={0} aria-label={title}>{cut ? `${text.slice(0, SHOWN_MAX)}…` : text}</pre>
      {cut && <button type="button" className="button small" onClick={() => setWhole(true)}>{t("flows.show_all", { n: text.length })}</button>}
    </section>
  );
}

/** The value of a text; null when it is not JSON. An empty text is no value. */
export function parsed(text: string): { value: Json | undefined } | null {
  if (!text.trim()) return { value: undefined };
  try {
    return { value: JSON.parse(text) as Json };
  } catch {
    return null;
  }
}

interface FieldProps {
  label: string;
  text: string;
  rows?: number;
  onChange: (text: string) => void;
}

export function JsonField({ label, text, rows = 6, onChange }: FieldProps) {
  const t = useT();
  const bad = parsed(text) === null;
  return (
    <label className="field">
      <span>{label}</span>
      <textarea className="input mono" rows={rows} spellCheck={false} aria-invalid={bad} value={text} onChange={(event) => onChange(event.target.value)} />
      {bad && <span className="wrong" role="alert">{t("flows.not_json")}</span>}
    </label>
  );
}
