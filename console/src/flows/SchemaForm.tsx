// A form drawn from a JSON Schema. A field that is left empty is not sent; what no simple field can
// hold is written as JSON.
import { createContext, useCallback, useContext, useId, useMemo, useState } from "react";
import { useT, type Translate } from "../i18n";
import { IconButton } from "../ui/IconButton";
import { JsonField, parsed, pretty } from "./JsonBox";
import { defaultOf, fieldKind, isObject, resolved, wrongs, type Schema, type Wrong } from "./schema";
import type { Json } from "./types";

export interface Form {
  schema: Schema;
  value: Json | undefined;
  wrongs: Wrong[];
  raw: string | null; // written as JSON instead; null: by fields
  touched: boolean; // else what is still missing is no fault yet
  ready: boolean; // may be sent
  setValue: (value: Json | undefined) => void;
  setRaw: (raw: string | null) => void;
  setBad: (id: string, bad: boolean) => void;
}

/** Tells the form that a part of it is no JSON at present. */
const BadPart = createContext<(id: string, bad: boolean) => void>(() => undefined);

export function useForm(schema: Schema, initial?: Json): Form {
  const [value, setValue] = useState<Json | undefined>(() => initial ?? defaultOf(schema, schema));
  const [raw, setRaw] = useState<string | null>(() => (fieldKind(schema, schema) === "json" ? pretty(initial ?? defaultOf(schema, schema) ?? {}) : null));
  const given = raw === null ? { value } : parsed(raw);
  const found = useMemo(() => (given === null ? [] : wrongs(given.value ?? (fieldKind(schema, schema) === "object" ? {} : null), schema)), [raw, value, schema]);
  const [touched, setTouched] = useState(false);
  const [bad, setBadParts] = useState<ReadonlySet<string>>(new Set());
  const setBad = useCallback((id: string, is: boolean) => setBadParts((before) => {
    if (before.has(id) === is) return before;
    const next = new Set(before);
    if (is) next.add(id);
    else next.delete(id);
    return next;
  }), []);
  const switchTo = (next: string | null) => {
    if (next === null && raw !== null) setValue(parsed(raw)?.value);
    setRaw(next);
  };
  const change = (next: Json | undefined) => {
    setTouched(true);
    setValue(next);
  };
  return { schema, value: given?.value, wrongs: found, raw, touched: touched || raw !== null, ready: given !== null && found.length === 0 && (raw !== null || bad.size === 0), setValue: change, setRaw: switchTo, setBad };
}

export function wrongText(wrong: Wrong, t: Translate): string {
  return t(`flows.wrong.${wrong.key}`, wrong.values);
}

export function SchemaForm({ form }: { form: Form }) {
  const t = useT();
  const { schema } = form;
  const plain = fieldKind(schema, schema) === "json";
  const top = form.wrongs.filter((wrong) => form.raw !== null || wrong.path === "");
  return (
    <div className="schema-form">
      {!plain && (
        <div className="segments" role="group" aria-label={t("flows.form.how")}>
          <button type="button" aria-pressed={form.raw === null} disabled={form.raw !== null && parsed(form.raw) === null} onClick={() => form.setRaw(null)}>{t("flows.form.fields")}</button>
          <button type="button" aria-pressed={form.raw !== null} onClick={() => form.setRaw(pretty(form.value ?? {}))}>JSON</button>
        </div>
      )}
      {form.raw !== null
        ? <JsonField label={t("flows.form.json")} text={form.raw} rows={9} onChange={form.setRaw} />
        : <BadPart value={form.setBad}><Field name="" path="" schema={schema} root={schema} required value={form.value} wrongs={form.touched ? form.wrongs : form.wrongs.filter((wrong) => wrong.key !== "required")} onChange={form.setValue} /></BadPart>}
      {top.length > 0 && <ul className="wrongs" role="alert">{top.map((wrong, n) => <li key={n}><span className="mono">{wrong.path || "/"}</span> {wrongText(wrong, t)}</li>)}</ul>}
    </div>
  );
}

interface FieldProps {
  name: string;
  path: string;
  schema: Schema;
  root: Schema;
  required: boolean;
  value: Json | undefined;
  wrongs: Wrong[];
  onChange: (value: Json | undefined) => void;
}

function Field(props: FieldProps) {
  const t = useT();
  const id = useId();
  const { name, path, root, required, value, wrongs: all, onChange } = props;
  const schema = resolved(props.schema, root);
  const kind = fieldKind(schema, root, path.split("/").length - 1);
  const about = isObject(schema) ? schema : {};
  const title = typeof about.title === "string" ? about.title : name || t("flows.form.value");
  const note = typeof about.description === "string" ? about.description : "";
  if (kind === "object") {
    const fields = isObject(about.properties) ? about.properties : {};
    const needed = new Set(Array.isArray(about.required) ? about.required.map(String) : []);
    const given = isObject(value) ? value : {};
    const set = (field: string, next: Json | undefined) => {
      const out = { ...given };
      if (next === undefined) delete out[field];
      else out[field] = next;
      onChange(path !== "" && !required && Object.keys(out).length === 0 ? undefined : out);
    };
    const inside = Object.entries(fields).map(([field, each]) => (
      <Field key={field} name={field} path={`${path}/${field.replace(/~/g, "~0").replace(/\//g, "~1")}`} schema={each as Schema} root={root} required={needed.has(field)} value={given[field]} wrongs={all} onChange={(next) => set(field, next)} />
    ));
    if (path === "") return <>{inside}</>;
    return <fieldset className="form-group"><legend>{title}</legend>{note && <p className="muted small">{note}</p>}{inside}</fieldset>;
  }
  const own = all.filter((wrong) => wrong.path === path && (path !== "" || name !== ""));
  const describedBy = own.length ? `${id}-wrong` : note ? `${id}-note` : undefined;
  const common = { id, "aria-describedby": describedBy, "aria-invalid": own.length > 0, "aria-required": required };
  const label = <label htmlFor={id}>{title}{required && <span className="muted"> *</span>}</label>;
  const below = (
    <>
      {note && <span id={`${id}-note`} className="muted small">{note}</span>}
      {own.length > 0 && <span id={`${id}-wrong`} className="wrong">{own.map((wrong) => wrongText(wrong, t)).join(" ")}</span>}
    </>
  );
  if (kind === "boolean") {
    return <div className="field"><div className="check-field"><input type="checkbox" {...common} checked={value === true} onChange={(event) => onChange(event.target.checked)} /> {label}</div>{below}</div>;
  }
  if (kind === "list") {
    const list = Array.isArray(value) ? value : [];
    const items = about.items as Schema;
    return (
      <fieldset className="form-group">
        <legend>{title}{required && <span className="muted"> *</span>}</legend>
        {list.map((each, n) => (
          <div key={n} className="list-field">
            <Field name={`${title} ${n + 1}`} path={`${path}/${n}`} schema={items} root={root} required={false} value={each} wrongs={all} onChange={(next) => onChange(list.map((old, m) => (m === n ? (next ?? null) : old)))} />
            <IconButton icon="trash" label={t("flows.form.remove", { name: `${title} ${n + 1}` })} onClick={() => onChange(list.filter((_, m) => m !== n))} />
          </div>
        ))}
        <button type="button" className="button small" onClick={() => onChange([...list, defaultOf(items, root) ?? emptyOf(items, root)])}>{t("flows.form.add", { name: title })}</button>
        {below}
      </fieldset>
    );
  }
  return (
    <div className="field">
      {kind !== "json" && label}
      {kind === "choice" && <Choice {...common} options={about.enum as Json[]} value={value} onChange={onChange} />}
      {kind === "long" && <textarea className="input" rows={4} {...common} value={typeof value === "string" ? value : ""} onChange={(event) => onChange(event.target.value || undefined)} />}
      {kind === "text" && <input className="input" type={about.format === "date" ? "date" : "text"} {...common} value={typeof value === "string" ? value : ""} onChange={(event) => onChange(event.target.value || undefined)} />}
      {(kind === "number" || kind === "integer") && <NumberField {...common} value={value} onChange={onChange} />}
      {kind === "json" && <JsonPart label={title + (required ? " *" : "")} value={value} onChange={onChange} />}
      {below}
    </div>
  );
}

/** What a new entry of a list begins as. */
function emptyOf(schema: Schema, root: Schema): Json {
  const kind = fieldKind(schema, root);
  return kind === "object" ? {} : kind === "list" ? [] : kind === "boolean" ? false : kind === "text" || kind === "long" ? "" : null;
}

interface Common {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean;
  "aria-required": boolean;
  value: Json | undefined;
  onChange: (value: Json | undefined) => void;
}

function Choice({ options, value, onChange, ...rest }: Common & { options: Json[] }) {
  const at = options.findIndex((each) => JSON.stringify(each) === JSON.stringify(value));
  return (
    <select className="select" {...rest} value={String(at)} onChange={(event) => onChange(options[Number(event.target.value)])}>
      <option value="-1">–</option>
      {options.map((each, n) => <option key={n} value={String(n)}>{typeof each === "string" ? each : JSON.stringify(each)}</option>)}
    </select>
  );
}

/** Keeps what was typed; what is no number is sent as typed, so that the check says so. */
function NumberField({ value, onChange, ...rest }: Common) {
  const [text, setText] = useState(value === undefined || value === null ? "" : String(value));
  const set = (typed: string) => {
    setText(typed);
    const number = Number(typed);
    onChange(typed.trim() === "" ? undefined : Number.isFinite(number) ? number : typed);
  };
  return <input className="input number" inputMode="decimal" {...rest} value={text} onChange={(event) => set(event.target.value)} />;
}

function JsonPart({ label, value, onChange }: { label: string; value: Json | undefined; onChange: (value: Json | undefined) => void }) {
  const [text, setText] = useState(pretty(value));
  const id = useId();
  const setBad = useContext(BadPart);
  const set = (typed: string) => {
    setText(typed);
    const read = parsed(typed);
    setBad(id, read === null);
    if (read) onChange(read.value);
  };
  return <JsonField label={label} text={text} rows={4} onChange={set} />;
}
