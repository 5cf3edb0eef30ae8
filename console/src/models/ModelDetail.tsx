import { useMemo } from "react";
import type { ModelEntry } from "../api/types";
import { useCommands } from "../app/screenCommands";
import { formatRoute, navigate } from "../app/router";
import { paramsStore } from "../chat/store";
import { useT } from "../i18n";
import { CopyButton } from "../ui/CopyButton";
import { formatTime } from "../ui/format";
import { Icon } from "../ui/Icon";
import { Facts, PageHead } from "../ui/states";
import { longTexts, otherDetails, shapeOf, text } from "./details";

function chatWith(id: string): void {
  paramsStore.set((params) => ({ ...params, model: id }));
  navigate({ screen: "chat" });
}

export function ModelDetail({ model }: { model: ModelEntry }) {
  const t = useT();
  const shape = shapeOf(model);
  const others = otherDetails(model);
  const commands = useMemo(
    () => (model.generates
      ? [{ id: "models.chat", title: t("models.chat"), group: t("nav.models"), run: () => chatWith(model.id) }]
      : []),
    [model, t],
  );
  useCommands(commands);
  return (
    <div className="page">
      <a className="back-link" href={formatRoute({ screen: "models" })}><Icon name="back" size={16} /> {t("nav.models")}</a>
      <PageHead title={model.id} note={text(model, "name")}>
        {model.generates && (
          <button type="button" className="button primary" onClick={() => chatWith(model.id)}>
            <Icon name="chat" size={16} /> {t("models.chat")}
          </button>
        )}
      </PageHead>
      <div className="columns">
        <section className="card">
          <h2>{t("models.about")}</h2>
          <Facts
            rows={[
              ["ID", <span className="copyable"><span className="mono">{model.id}</span> <CopyButton text={model.id} /></span>],
              [t("models.architecture"), text(model, "architecture")],
              [t("models.quantization"), text(model, "quantization")],
              [t("models.file"), text(model, "file_bytes")],
              [t("models.license"), text(model, "license")],
              [t("models.context"), t("models.tokens", { n: model.context_tokens.toLocaleString("en-US") })],
              [t("models.embedding_dim"), model.embedding_dim ? String(model.embedding_dim) : ""],
              [t("models.does"), [model.generates && t("models.generates"), model.embeds && t("models.embeds")].filter(Boolean).join(", ")],
              [t("models.owner"), model.owned_by],
              [t("models.created"), model.created ? formatTime(model.created * 1000) : ""],
            ]}
          />
        </section>
        {shape.length > 0 && (
          <section className="card">
            <h2>{t("models.shape")}</h2>
            <Facts rows={shape.map((row) => [row.key, row.text])} />
          </section>
        )}
        {others.length > 0 && (
          <section className="card">
            <h2>{t("models.more")}</h2>
            <Facts rows={others.map((row) => [row.key, <span className="break">{row.text}</span>])} />
          </section>
        )}
      </div>
      {longTexts(model).map((row) => (
        <section key={row.key} className="card">
          <h2 className="with-tool">{row.key} <CopyButton text={row.text} /></h2>
          <pre className="snippet" tabIndex={0}>{row.text}</pre>
        </section>
      ))}
    </div>
  );
}
