import { describe, expect, it } from "vitest";
import { SseParser, type SseEvent } from "../src/api/sse";

const parseAt = (text: string, cuts: number[]): SseEvent[] => {
  const bytes = new TextEncoder().encode(text);
  const parser = new SseParser();
  const out: SseEvent[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    out.push(...parser.push(bytes.subarray(from, cut)));
    from = cut;
  }
  return out;
};

describe("SseParser", () => {
  it("reads events, joins data lines and keeps event names", () => {
    expect(parseAt("event: a\ndata: 1\ndata: 2\n\ndata: 3\n\n", [])).toEqual([
      { event: "a", data: "1\n2" },
      { event: "message", data: "3" },
    ]);
  });

  it("gives the same events wherever the bytes are cut, also inside a character", () => {
    const text = ": hello\r\ndata: 斗拱 é\r\n\r\nevent:x\rdata:2\r\rdata: [DONE]\n\n";
    const whole = parseAt(text, []);
    expect(whole.map((event) => event.data)).toEqual(["斗拱 é", "2", "[DONE]"]);
    const length = new TextEncoder().encode(text).length;
    for (let cut = 1; cut < length; cut += 1) expect(parseAt(text, [cut])).toEqual(whole);
    expect(parseAt(text, Array.from({ length: length - 1 }, (_, i) => i + 1))).toEqual(whole);
  });

  it("ignores comments, unknown fields and an unfinished event", () => {
    expect(parseAt(":keep-alive\n\nretry: 5\nid: 7\n\ndata: cut off", [])).toEqual([]);
  });

  it("tells the last id that was sent", () => {
    expect(parseAt("data: 0\n\nid: 7\ndata: 1\n\ndata: 2\n\n", []).map((event) => event.id)).toEqual([undefined, "7", "7"]);
  });

  it("removes one space after the colon and no more", () => {
    expect(parseAt("data:  two\n\ndata\n\n", [])).toEqual([
      { event: "message", data: " two" },
      { event: "message", data: "" },
    ]);
  });
});
