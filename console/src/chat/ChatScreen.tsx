// Chat: conversations on the left, the open one in the middle, parameters on the right when asked.
import { useEffect, useMemo, useState } from "react";
import { useCommands } from "../app/screenCommands";
import { useRoute } from "../app/router";
import { load, save } from "../app/storage";
import { useStore } from "../app/store";
import { useT } from "../i18n";
import { pickModel, useModels } from "../models/useModels";
import { IconButton } from "../ui/IconButton";
import { removeChat } from "./actions";
import { ChatHead } from "./ChatHead";
import { Composer } from "./Composer";
import { ConversationList } from "./ConversationList";
import { download, fileName, toJson, toMarkdown } from "./export";
import { ParamsPanel } from "./ParamsPanel";
import { conversationStore, paramsStore } from "./store";
import { Thread } from "./Thread";
import { Welcome } from "./Welcome";

const MODELS_RETRY_MS = 1500;

/** Keeps a served model chosen. A server that still loads its model is asked again. */
function useServedModel() {
  const models = useModels();
  const { reload } = models;
  const list = models.data?.models;
  const ready = list?.some((model) => model.generates) ?? false;
  useEffect(() => {
    if (ready) return;
    const timer = setInterval(reload, MODELS_RETRY_MS);
    return () => clearInterval(timer);
  }, [ready, reload]);
  useEffect(() => {
    if (!list) return;
    paramsStore.set((params) => {
      const model = pickModel(params.model, list);
      return model === params.model ? params : { ...params, model };
    });
  }, [list]);
  return models;
}

export function ChatScreen() {
  const t = useT();
  const { id } = useRoute();
  const { byId } = useStore(conversationStore);
  const conversation = id ? (byId[id] ?? null) : null;
  const models = useServedModel();
  const [panel, setPanel] = useState(() => load("panel_open", false));
  const [drawer, setDrawer] = useState(false);
  const togglePanel = () => {
    save("panel_open", !panel);
    setPanel(!panel);
  };
  useEffect(() => setDrawer(false), [id]);

  const commands = useMemo(() => {
    const group = t("nav.chat");
    const togglesParams = {
      id: "params",
      title: t("params.title"),
      group,
      run: () => setPanel((open) => !open),
    };
    if (!conversation) return [togglesParams];
    return [
      { id: "export.md", title: t("chat.export.md"), group, run: () => download(fileName(conversation, "md"), "text/markdown", toMarkdown(conversation)) },
      { id: "export.json", title: t("chat.export.json"), group, run: () => download(fileName(conversation, "json"), "application/json", toJson(conversation)) },
      { id: "delete", title: t("chat.delete"), group, run: () => removeChat(conversation.id) },
      togglesParams,
    ];
  }, [conversation, t]);
  useCommands(commands);

  const busy = conversation?.messages.some((message) => message.status === "streaming") ?? false;
  return (
    <div className={`chat ${panel ? "with-panel" : ""} ${drawer ? "with-drawer" : ""}`}>
      <aside className="chat-side" aria-label={t("chat.list")}>
        <ConversationList openId={id} />
      </aside>
      {drawer && <button type="button" className="scrim" aria-label={t("close")} onClick={() => setDrawer(false)} />}
      <section className="chat-main" aria-label={conversation?.title || t("chat.new")}>
        <ChatHead
          conversation={conversation}
          models={models}
          panel={panel}
          onPanel={togglePanel}
          menu={<IconButton icon="menu" label={t("chat.list")} className="only-narrow" aria-expanded={drawer} onClick={() => setDrawer(!drawer)} />}
        />
        {conversation && conversation.messages.length > 0
          ? <Thread key={conversation.id} conversation={conversation} />
          : <Welcome models={models} missing={id !== null && !conversation} />}
        <Composer key={id ?? "new"} conversationId={conversation?.id ?? null} busy={busy} />
      </section>
      {panel && <ParamsPanel onClose={togglePanel} />}
    </div>
  );
}
