// Conversations and chat parameters of this browser, saved shortly after each change.
import type { ChatParams } from "../api/chat";
import { load, save } from "../app/storage";
import { createStore } from "../app/store";
import { t } from "../i18n";
import { toast } from "../ui/toast";
import { mergeStored, noConversations, restored, type Conversations } from "./conversation";

const SAVE_DELAY_MS = 400;

export const defaultParams: ChatParams = {
  model: "",
  temperature: null,
  top_p: null,
  max_tokens: null,
  seed: null,
  system: "",
};

export const conversationStore = createStore<Conversations>(restored(load("conversations", noConversations)));
export const paramsStore = createStore<ChatParams>({ ...defaultParams, ...load<Partial<ChatParams>>("params", {}) });

export function startPersisting(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let told = false;
  const write = () => {
    clearTimeout(timer);
    timer = undefined;
    const saved = save("conversations", conversationStore.get());
    if (!saved && !told) toast({ text: t("chat.storage_full") });
    told = !saved; // said once, not at every token
  };
  conversationStore.subscribe(() => {
    timer ??= setTimeout(write, SAVE_DELAY_MS);
  });
  addEventListener("storage", (event) => {
    if (event.key !== "dougong.conversations") return;
    const local = conversationStore.get();
    const after = mergeStored(local, load("conversations", noConversations), timer !== undefined);
    conversationStore.set(after);
    // What was kept from this tab has to be written; what was taken in must not be, or two tabs
    // would echo for ever.
    if (Object.values(after.byId).some((item) => item === local.byId[item.id])) return;
    clearTimeout(timer);
    timer = undefined;
  });
  paramsStore.subscribe(() => save("params", paramsStore.get()));
  addEventListener("pagehide", () => timer !== undefined && write());
}
