import { describe, expect, it } from "vitest";
import { chatBody, type ChatParams } from "../src/api/chat";
import {
  addConversation, appendMessages, changeMessage, insertConversation, mergeStored, noConversations, removeConversation,
  rename, restored, titleOf, truncateAt, type Conversations, type Message,
} from "../src/chat/conversation";
import { fileName, toJson, toMarkdown } from "../src/chat/export";
import { parseParam } from "../src/chat/params";
import { answerStats } from "../src/chat/stats";

const message = (id: string, role: Message["role"], text: string): Message => ({ id, role, text, status: "done" });

function two(): Conversations {
  let state = addConversation(addConversation(noConversations, "a", 1), "b", 2);
  state = appendMessages(state, "a", [message("1", "user", "Hello there"), message("2", "assistant", "Hi")], 3);
  return state;
}

describe("conversations", () => {
  it("puts the one written to on top and titles it by its first question", () => {
    expect(two().order).toEqual(["a", "b"]);
    expect(two().byId.a?.title).toBe("Hello there");
    expect(titleOf("word ".repeat(30))).toMatch(/^(word )+word…$/);
  });

  it("truncates at a message and everything after it", () => {
    expect(truncateAt(two(), "a", "2").byId.a?.messages.map((m) => m.id)).toEqual(["1"]);
    expect(truncateAt(two(), "a", "1").byId.a?.messages).toEqual([]);
    expect(truncateAt(two(), "a", "none").byId.a?.messages.length).toBe(2);
  });

  it("deletes, and undo puts it back where it was", () => {
    const before = two();
    const gone = removeConversation(before, "b");
    expect(gone.order).toEqual(["a"]);
    const back = insertConversation(gone, before.byId.b!, 1);
    expect(back).toEqual(before);
  });

  it("changes one message and leaves the others identical", () => {
    const before = two();
    const after = changeMessage(before, "a", "2", (m) => ({ ...m, text: "Hi!" }));
    expect(after.byId.a?.messages[0]).toBe(before.byId.a?.messages[0]);
    expect(after.byId.a?.messages[1]?.text).toBe("Hi!");
    expect(after.byId.b).toBe(before.byId.b);
  });

  it("ignores what it does not know", () => {
    expect(rename(two(), "zz", "x")).toEqual(two());
    expect(appendMessages(two(), "zz", [], 1)).toEqual(two());
    expect(rename(two(), "a", "  ").byId.a?.title).toBe("Hello there");
  });

  it("restores a stored state: streams have stopped, rubbish is dropped", () => {
    const streaming = changeMessage(two(), "a", "2", (m) => ({ ...m, status: "streaming" }));
    expect(restored(streaming).byId.a?.messages[1]?.status).toBe("stopped");
    expect(restored({ order: ["x"], byId: {} })).toEqual(noConversations);
    expect(restored(null as unknown as Conversations)).toEqual(noConversations);
  });
});

describe("two tabs", () => {
  it("take in each other's conversations and deletions", () => {
    const here = two();
    const there = appendMessages(addConversation(two(), "c", 8), "c", [message("9", "user", "New")], 9);
    expect(mergeStored(here, there, false).order).toEqual(["c", "a", "b"]);
    expect(mergeStored(there, here, false).order).toEqual(["a", "b"]);
  });

  it("keep what is unsaved, newer or still streaming here", () => {
    const fresh = addConversation(two(), "mine", 10);
    expect(mergeStored(fresh, two(), true).byId.mine).toBeDefined();
    const newer = appendMessages(two(), "a", [message("3", "user", "More")], 50);
    expect(mergeStored(newer, two(), false).byId.a?.messages.length).toBe(3);
    const streaming = changeMessage(two(), "a", "2", (m) => ({ ...m, status: "streaming" }));
    expect(mergeStored(streaming, two(), false).byId.a?.messages[1]?.status).toBe("streaming");
    expect(mergeStored(streaming, removeConversation(two(), "a"), false).byId.a).toBeDefined();
  });
});

describe("export", () => {
  it("writes JSON that reads back and Markdown in order", () => {
    const conversation = two().byId.a!;
    expect(JSON.parse(toJson(conversation))).toEqual(conversation);
    expect(toMarkdown(conversation)).toBe("# Hello there\n\n## User\n\nHello there\n\n## Assistant\n\nHi\n");
    expect(fileName({ ...conversation, title: "../天空 why?" }, "md")).toBe("天空-why.md");
    expect(fileName({ ...conversation, title: "" }, "md")).toBe("conversation.md");
  });
});

describe("request body", () => {
  const params: ChatParams = { model: "m", temperature: 0, top_p: null, max_tokens: 5, seed: null, system: " " };

  it("sends zero, leaves out what is empty, and asks for usage", () => {
    const body = chatBody(params, [{ role: "user", content: "hi" }]);
    expect(body).toEqual({
      model: "m", messages: [{ role: "user", content: "hi" }], stream: true,
      stream_options: { include_usage: true }, temperature: 0, max_tokens: 5,
    });
  });

  it("puts the system prompt first", () => {
    const body = chatBody({ ...params, system: "Be brief." }, [{ role: "user", content: "hi" }]);
    expect(body.messages).toEqual([{ role: "system", content: "Be brief." }, { role: "user", content: "hi" }]);
  });

  it("brings parameters into range", () => {
    expect(parseParam("temperature", "9")).toBe(2);
    expect(parseParam("max_tokens", "2.6")).toBe(3);
    expect(parseParam("seed", "")).toBeNull();
    expect(parseParam("top_p", "abc")).toBeNull();
  });
});

describe("answer figures", () => {
  const clock = { sent_ms: 100, first_ms: 300, last_ms: 1300, pieces: 11 };

  it("takes the server's own measurements first", () => {
    const usage = { prompt_tokens: 4, completion_tokens: 21, total_tokens: 25, prompt_tokens_details: { cached_tokens: 2 } };
    const timings = { ttft_ms: 150, total_ms: 1200, decode_tokens_per_s: 33 };
    expect(answerStats({ finish: "stop", usage, timings, requestId: null }, clock)).toEqual({
      ttft_ms: 150, total_ms: 1200, tokens_per_s: 33, prompt_tokens: 4, cached_tokens: 2, completion_tokens: 21,
    });
  });

  it("measures what the server does not tell: a cut answer counts its pieces", () => {
    expect(answerStats(null, clock)).toEqual({
      ttft_ms: 200, total_ms: 1200, tokens_per_s: 10, prompt_tokens: null, cached_tokens: null, completion_tokens: 11,
    });
  });

  it("claims nothing when nothing came", () => {
    const none = answerStats(null, { sent_ms: 1, first_ms: null, last_ms: null, pieces: 0 });
    expect(Object.values(none).every((value) => value === null)).toBe(true);
  });
});
