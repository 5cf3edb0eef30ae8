// Sampling parameters and the system prompt. An empty field is not sent: the server's default rules.
import { useId } from "react";
import type { ChatParams } from "../api/chat";
import { useStore } from "../app/store";
import { useT, type Key } from "../i18n";
import { IconButton } from "../ui/IconButton";
import { parseParam, paramRanges, type NumberParam } from "./params";
import { defaultParams, paramsStore } from "./store";

const numbers: [NumberParam, Key][] = [
  ["temperature", "params.temperature.help"],
  ["top_p", "params.top_p.help"],
  ["max_tokens", "params.max_tokens.help"],
  ["seed", "params.seed.help"],
];

const setParam = (change: Partial<ChatParams>) => paramsStore.set((before) => ({ ...before, ...change }));

export function ParamsPanel({ onClose }: { onClose: () => void }) {
  const t = useT();
  const params = useStore(paramsStore);
  const systemId = useId();
  return (
    <aside className="panel" aria-label={t("params.title")} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header className="dialog-head">
        <h2>{t("params.title")}</h2>
        <IconButton icon="close" label={t("close")} onClick={onClose} />
      </header>
      <label htmlFor={systemId}>{t("params.system")}</label>
      <textarea
        id={systemId}
        className="input"
        rows={5}
        placeholder={t("params.system.placeholder")}
        value={params.system}
        onChange={(event) => setParam({ system: event.target.value })}
      />
      {numbers.map(([name, help]) => <NumberField key={name} name={name} help={t(help)} value={params[name]} />)}
      <button type="button" className="button" onClick={() => setParam({ ...defaultParams, model: params.model })}>
        {t("params.reset")}
      </button>
    </aside>
  );
}

function NumberField({ name, help, value }: { name: NumberParam; help: string; value: number | null }) {
  const t = useT();
  const id = useId();
  const range = paramRanges[name];
  return (
    <div className="field">
      <label htmlFor={id} className="mono">{name}</label>
      <input
        id={id}
        className="input"
        type="number"
        inputMode="decimal"
        min={range.min}
        max={range.max}
        step={range.step}
        placeholder={t("params.default")}
        aria-describedby={`${id}-help`}
        value={value ?? ""}
        onChange={(event) => setParam({ [name]: parseParam(name, event.target.value) })}
      />
      <p id={`${id}-help`} className="muted small">{help}</p>
    </div>
  );
}
