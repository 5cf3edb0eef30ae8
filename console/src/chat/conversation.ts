// Conversations as plain data, and every change to them as a pure function.
import type { ErrorKind } from "../api/http";

export interface AnswerStats {
  ttft_ms: number | null;
  total_ms: number | null;
  tokens_per_s: number | null;
  prompt_tokens: number | null;
  cached_tokens: number | null;
  completion_tokens: number | null;
}

export type MessageStatus = "done" | "streaming" | "stopped" | "failed";

export interface Message {
  id: string;
  role: "user" | "assistant";
  text: string;
  status: MessageStatus;
  model?: string;
  finish?: string;
  stats?: AnswerStats;
  request_id?: string | null; // its row in the request log
  error?: { kind: ErrorKind; message: string };
}

export interface Conversation {
  id: string;
  title: string;
  created_ms: number;
  updated_ms: number;
  messages: Message[];
}

export interface Conversations {
  order: string[]; // newest first
  byId: Record<string, Conversation>;
}

export const TITLE_CHARS_MAX = 48;

export const noConversations: Conversations = { order: [], byId: {} };

/** The first line of the first question, cut at a word. */
export function titleOf(text: string): string {
  const line = text.trim().split("\n", 1)[0] ?? "";
  if (line.length <= TITLE_CHARS_MAX) return line;
  const cut = line.slice(0, TITLE_CHARS_MAX);
  const space = cut.lastIndexOf(" ");
  return `${space > TITLE_CHARS_MAX / 2 ? cut.slice(0, space) : cut}…`;
}

export function addConversation(state: Conversations, id: string, nowMs: number): Conversations {
  const fresh: Conversation = { id, title: "", created_ms: nowMs, updated_ms: nowMs, messages: [] };
  return insertConversation(state, fresh, 0);
}

export function insertConversation(state: Conversations, item: Conversation, at: number): Conversations {
  const order = state.order.filter((id) => id !== item.id);
  order.splice(at, 0, item.id);
  return { order, byId: { ...state.byId, [item.id]: item } };
}

export function removeConversation(state: Conversations, id: string): Conversations {
  const byId = { ...state.byId };
  delete byId[id];
  return { order: state.order.filter((other) => other !== id), byId };
}

function change(state: Conversations, id: string, how: (before: Conversation) => Conversation): Conversations {
  const before = state.byId[id];
  return before ? { ...state, byId: { ...state.byId, [id]: how(before) } } : state;
}

export function rename(state: Conversations, id: string, title: string): Conversations {
  return change(state, id, (before) => ({ ...before, title: title.trim() || before.title }));
}

/** Adds messages to the end and moves the conversation to the top of the list. */
export function appendMessages(state: Conversations, id: string, more: Message[], nowMs: number): Conversations {
  const after = change(state, id, (before) => ({
    ...before,
    title: before.title || titleOf(more.find((message) => message.role === "user")?.text ?? ""),
    updated_ms: nowMs,
    messages: [...before.messages, ...more],
  }));
  if (after === state) return state;
  return { ...after, order: [id, ...after.order.filter((other) => other !== id)] };
}

/** Drops `messageId` and everything after it. */
export function truncateAt(state: Conversations, id: string, messageId: string): Conversations {
  return change(state, id, (before) => {
    const at = before.messages.findIndex((message) => message.id === messageId);
    return at < 0 ? before : { ...before, messages: before.messages.slice(0, at) };
  });
}

export function changeMessage(
  state: Conversations,
  id: string,
  messageId: string,
  how: (before: Message) => Message,
): Conversations {
  return change(state, id, (before) => ({
    ...before,
    messages: before.messages.map((message) => (message.id === messageId ? how(message) : message)),
  }));
}

/** What was streaming when the page was closed has stopped. Unreadable storage becomes empty. */
export function restored(stored: Conversations): Conversations {
  if (!Array.isArray(stored?.order) || typeof stored.byId !== "object") return noConversations;
  const byId: Record<string, Conversation> = {};
  for (const id of stored.order) {
    const item = stored.byId[id];
    if (!item || !Array.isArray(item.messages)) continue;
    const messages = item.messages.map((message) =>
      message.status === "streaming" ? { ...message, status: "stopped" as const } : message,
    );
    byId[id] = { ...item, messages };
  }
  return { order: stored.order.filter((id) => byId[id]), byId };
}

const isStreaming = (item: Conversation) => item.messages.some((message) => message.status === "streaming");

/** Takes in what another tab has stored, so that two tabs do not overwrite each other. What streams
 *  here or was written here later stays; with `unsaved` changes here, so does what only this tab
 *  knows: otherwise the other tab has deleted it. */
export function mergeStored(local: Conversations, stored: Conversations, unsaved: boolean): Conversations {
  const theirs = restored(stored);
  const byId = { ...theirs.byId };
  for (const item of Object.values(local.byId)) {
    const other = theirs.byId[item.id];
    const keep = isStreaming(item) || (other ? item.updated_ms > other.updated_ms : unsaved);
    if (keep) byId[item.id] = item;
  }
  const order = Object.values(byId).sort((a, b) => b.updated_ms - a.updated_ms).map((item) => item.id);
  return { order, byId };
}
