import type { ReactNode } from "react";
import type { Resource } from "../api/resource";
import type { ModelEntry } from "../api/types";
import { useStore } from "../app/store";
import { useT } from "../i18n";
import { IconButton } from "../ui/IconButton";
import { newChat } from "./actions";
import type { Conversation } from "./conversation";
import { download, fileName, toMarkdown } from "./export";
import { paramsStore } from "./store";

interface Props {
  conversation: Conversation | null;
  models: Resource<{ models: ModelEntry[] }>;
  panel: boolean;
  onPanel: () => void;
  menu: ReactNode;
}

export function ChatHead({ conversation, models, panel, onPanel, menu }: Props) {
  const t = useT();
  return (
    <header className="chat-head">
      {menu}
      <h1 className="visually-hidden">{t("nav.chat")}</h1>
      <ModelSelect models={models} />
      <span className="grow" />
      <IconButton icon="plus" label={t("chat.new")} className="only-narrow" onClick={newChat} />
      {conversation && (
        <IconButton
          icon="download"
          label={t("chat.export.md")}
          onClick={() => download(fileName(conversation, "md"), "text/markdown", toMarkdown(conversation))}
        />
      )}
      <IconButton icon="sliders" label={t("params.title")} aria-expanded={panel} onClick={onPanel} />
    </header>
  );
}

function ModelSelect({ models }: { models: Props["models"] }) {
  const t = useT();
  const params = useStore(paramsStore);
  const able = models.data?.models.filter((model) => model.generates) ?? [];
  const known = able.some((model) => model.id === params.model);
  return (
    <select
      className="select model-select"
      aria-label={t("chat.model")}
      value={params.model}
      onChange={(event) => paramsStore.set((before) => ({ ...before, model: event.target.value }))}
    >
      {!known && <option value={params.model}>{params.model || t("chat.model.none")}</option>}
      {able.map((model) => <option key={model.id} value={model.id}>{model.id}</option>)}
    </select>
  );
}
