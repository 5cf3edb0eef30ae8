// What a person can do in a chat. Each action changes the store through conversation.ts; answers
// stream in from here, so they go on while another screen is open.
import { chatBody, streamChat, type ChatEnd, type WireMessage } from "../api/chat";
import { ApiError } from "../api/http";
import { navigate, routeStore } from "../app/router";
import { t } from "../i18n";
import { toast } from "../ui/toast";
import * as model from "./conversation";
import { answerStats, type Clocked } from "./stats";
import { conversationStore, paramsStore } from "./store";

const FLUSH_MS = 33; // text reaches the screen at most 30 times a second

const running = new Map<string, AbortController>(); // by conversation

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");

export function newChat(): void {
  navigate({ screen: "chat" });
  requestAnimationFrame(() => document.querySelector<HTMLElement>("[data-composer]")?.focus());
}

/** Sends `text` in the conversation, or in a new one when `id` is null. */
export function send(id: string | null, text: string): void {
  const target = id ?? newId();
  if (!conversationStore.get().byId[target]) {
    conversationStore.set((state) => model.addConversation(state, target, Date.now()));
  }
  const question: model.Message = { id: newId(), role: "user", text, status: "done" };
  conversationStore.set((state) => model.appendMessages(state, target, [question], Date.now()));
  if (routeStore.get().id !== target) navigate({ screen: "chat", id: target }, "replace");
  void answer(target);
}

export function stop(id: string): void {
  running.get(id)?.abort();
}

/** Drops the answer (and all after it) and asks again. */
export function regenerate(id: string, answerId: string): void {
  replaceFrom(id, answerId, () => void answer(id));
}

export function editAndResend(id: string, questionId: string, text: string): void {
  replaceFrom(id, questionId, () => send(id, text));
}

function replaceFrom(id: string, messageId: string, then: () => void): void {
  stop(id);
  const before = conversationStore.get().byId[id];
  if (!before) return;
  const at = before.messages.findIndex((message) => message.id === messageId);
  const dropped = before.messages.slice(at + 1).length;
  conversationStore.set((state) => model.truncateAt(state, id, messageId));
  then();
  if (dropped > 0) offerUndo(t("chat.replaced", { n: dropped }), before);
}

function offerUndo(text: string, before: model.Conversation): void {
  const undo = () => {
    stop(before.id);
    conversationStore.set((state) => {
      const at = Math.max(0, state.order.indexOf(before.id));
      return model.insertConversation(state, before, at);
    });
  };
  toast({ text, action: { label: t("undo"), run: undo } });
}

export function removeChat(id: string): void {
  const before = conversationStore.get().byId[id];
  if (!before) return;
  stop(id);
  const at = conversationStore.get().order.indexOf(id);
  conversationStore.set((state) => model.removeConversation(state, id));
  const wasOpen = routeStore.get().screen === "chat" && routeStore.get().id === id;
  if (wasOpen) navigate({ screen: "chat" });
  const undo = () => {
    conversationStore.set((state) => model.restored(model.insertConversation(state, before, at)));
    if (wasOpen) navigate({ screen: "chat", id });
  };
  toast({ text: t("chat.deleted"), action: { label: t("undo"), run: undo } });
}

function historyOf(id: string): WireMessage[] {
  const messages = conversationStore.get().byId[id]?.messages ?? [];
  return messages
    .filter((message) => message.text !== "")
    .map((message) => ({ role: message.role, content: message.text }));
}

async function answer(id: string): Promise<void> {
  stop(id);
  const abort = new AbortController();
  running.set(id, abort);
  const params = paramsStore.get();
  const body = chatBody(params, historyOf(id));
  const messageId = newId();
  const change = (how: (before: model.Message) => model.Message) =>
    conversationStore.set((state) => model.changeMessage(state, id, messageId, how));
  const fresh: model.Message = { id: messageId, role: "assistant", text: "", status: "streaming", model: params.model };
  conversationStore.set((state) => model.appendMessages(state, id, [fresh], Date.now()));

  const clock: Clocked = { sent_ms: performance.now(), first_ms: null, last_ms: null, pieces: 0 };
  const text = new TextBatch((more) => change((before) => ({ ...before, text: before.text + more })));
  const onDelta = (more: string) => {
    clock.last_ms = performance.now();
    clock.first_ms ??= clock.last_ms;
    clock.pieces += 1;
    text.add(more);
  };
  const finish = (status: model.MessageStatus, end: ChatEnd | null, error?: model.Message["error"]) => {
    text.flush();
    change((before) => ({
      ...before,
      status,
      finish: end?.finish ?? "",
      request_id: end?.requestId ?? null,
      stats: answerStats(end, clock),
      ...(error && { error }),
    }));
  };
  try {
    const end = await streamChat(body, onDelta, abort.signal);
    finish("done", end);
  } catch (reason) {
    if (abort.signal.aborted) finish("stopped", null);
    else finish("failed", null, describe(reason));
  } finally {
    if (running.get(id) === abort) running.delete(id);
  }
}

function describe(reason: unknown): { kind: ApiError["kind"]; message: string } {
  if (reason instanceof ApiError) return { kind: reason.kind, message: reason.message };
  // fetch's reader throws TypeError when the connection breaks in the middle of the body.
  return { kind: "offline", message: String(reason) };
}

/** Gathers pieces, so that a fast model does not redraw the page for every token. */
class TextBatch {
  private waiting = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly sink: (text: string) => void) {}

  add(text: string): void {
    this.waiting += text;
    this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.waiting) this.sink(this.waiting);
    this.waiting = "";
  }
}
