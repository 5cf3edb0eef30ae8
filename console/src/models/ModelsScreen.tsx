// Models: what is served, and everything known about one of them.
import { formatRoute, useRoute } from "../app/router";
import type { ModelEntry } from "../api/types";
import { useT } from "../i18n";
import { formatBytes, formatCount } from "../ui/format";
import { Empty, Failure, PageHead, Skeleton } from "../ui/states";
import { ModelDetail } from "./ModelDetail";
import { text } from "./details";
import { useModels } from "./useModels";

export function ModelsScreen() {
  const t = useT();
  const { id } = useRoute();
  const { data, error, reload } = useModels();
  const open = data?.models.find((model) => model.id === id);
  if (open) return <ModelDetail model={open} />;
  return (
    <div className="page">
      <PageHead title={t("nav.models")} note={t("models.note")} />
      {error && !data && <Failure error={error} retry={reload} />}
      {!error && !data && <Skeleton lines={5} />}
      {data?.models.length === 0 && <Empty title={t("models.none")}>{t("models.none.do")}</Empty>}
      {id && data && !open && <p role="alert">{t("models.unknown", { id })}</p>}
      <ul className="model-cards">
        {data?.models.map((model) => <Card key={model.id} model={model} />)}
      </ul>
    </div>
  );
}

function Card({ model }: { model: ModelEntry }) {
  const t = useT();
  const { parameters, file_bytes } = model.details;
  const facts: [string, string][] = [
    [t("models.architecture"), text(model, "architecture")],
    [t("models.quantization"), text(model, "quantization")],
    [t("models.parameters"), typeof parameters === "number" ? formatCount(parameters) : ""],
    [t("models.file"), typeof file_bytes === "number" ? formatBytes(file_bytes) : ""],
    [t("models.context"), t("models.tokens", { n: model.context_tokens.toLocaleString("en-US") })],
    [t("models.license"), text(model, "license")],
  ];
  return (
    <li className="card model-card">
      <h2><a href={formatRoute({ screen: "models", id: model.id })}>{model.id}</a></h2>
      <p className="row">
        {model.generates && <span className="badge badge-good">{t("models.generates")}</span>}
        {model.embeds && <span className="badge">{t("models.embeds")}</span>}
      </p>
      <dl className="model-facts">
        {facts.filter(([, value]) => value).map(([term, value]) => (
          <div key={term}><dt>{term}</dt><dd>{value}</dd></div>
        ))}
      </dl>
    </li>
  );
}
