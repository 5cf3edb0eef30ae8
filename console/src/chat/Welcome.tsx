// What an empty chat shows: which model answers, and a few questions to begin with.
import type { Resource } from "../api/resource";
import type { ModelEntry } from "../api/types";
import { useStore } from "../app/store";
import { useT, type Key } from "../i18n";
import { formatBytes, formatCount } from "../ui/format";
import { Mark } from "../ui/Mark";
import { Failure } from "../ui/states";
import { send } from "./actions";
import { paramsStore } from "./store";

const examples: Key[] = ["welcome.example1", "welcome.example2", "welcome.example3", "welcome.example4"];

function line(model: ModelEntry): string {
  const { parameters, quantization, file_bytes } = model.details as Record<string, unknown>;
  const parts = [
    typeof parameters === "number" && formatCount(parameters),
    typeof quantization === "string" && quantization,
    typeof file_bytes === "number" && formatBytes(file_bytes),
    `${formatCount(model.context_tokens)} ctx`,
  ];
  return parts.filter(Boolean).join(" · ");
}

export function Welcome({ models, missing }: { models: Resource<{ models: ModelEntry[] }>; missing: boolean }) {
  const t = useT();
  const { model } = useStore(paramsStore);
  const entry = models.data?.models.find((candidate) => candidate.id === model);
  const none = models.data !== null && !models.data.models.some((candidate) => candidate.generates);
  return (
    <div className="welcome">
      <Mark size={52} />
      <h2>{t("welcome.title")}</h2>
      <p className="muted welcome-model">{entry ? `${entry.id} · ${line(entry)}` : "\u00a0"}</p>
      {missing && <p className="muted">{t("chat.missing")}</p>}
      {none && <p role="alert">{t("welcome.no_model")}</p>}
      {models.error && models.error.kind !== "offline" && !models.data && <Failure error={models.error} retry={models.reload} />}
      <ul className="examples">
        {examples.map((key) => (
          <li key={key}>
            <button type="button" className="example" disabled={!model} onClick={() => send(null, t(key))}>{t(key)}</button>
          </li>
        ))}
      </ul>
    </div>
  );
}
