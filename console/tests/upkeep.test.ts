import { describe, expect, it } from "vitest";
import { byReason, charsOf, countsText, savedPercent } from "../src/memory/upkeep";

describe("upkeep of memories", () => {
  it("counts only the kinds that there are", () => {
    expect(countsText({ memories: 3, facts: 0, idempotency_keys: 1 })).toBe("3 memories, 1 idempotency keys");
    expect(countsText({ memories: 0 })).toBe("");
  });
  it("groups decisions by reason, the most first", () => {
    const decisions = ["recent", "pinned", "recent", "important"].map((reason, i) => ({ id: String(i), reason }));
    expect(byReason(decisions)).toEqual([["recent", 2], ["important", 1], ["pinned", 1]]);
  });
  it("tells the share of tokens that goes", () => {
    expect(savedPercent({ tokens_before: 200, tokens_after: 50 })).toBe(75);
    expect(savedPercent({ tokens_before: 0, tokens_after: 0 })).toBe(0);
  });
  it("counts characters as the server does", () => {
    expect(charsOf("a你😀")).toBe(3);
  });
});
