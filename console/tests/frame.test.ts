import { describe, expect, it } from "vitest";
import { fuzzyFilter, fuzzyScore } from "../src/app/fuzzy";
import { CHORD_MS, stepKey, type KeyState } from "../src/app/keymap";
import { formatRoute, parseRoute, type Route } from "../src/app/router";
import { errorFrom, kindOf } from "../src/api/http";
import { formatBytes, formatCount, formatDuration, formatMs, formatNumber, NONE } from "../src/ui/format";

const press = (key: string, more = {}) => ({ key, ctrl: false, alt: false, typing: false, ...more });
const idle: KeyState = { prefix_at_ms: null };

describe("keymap", () => {
  it("goes to a screen with g and a letter, in time", () => {
    const { state, action } = stepKey(idle, press("g"), 0);
    expect(action).toBeNull();
    expect(stepKey(state, press("r"), CHORD_MS).action).toEqual({ kind: "go", screen: "requests" });
    expect(stepKey(state, press("r"), CHORD_MS + 1).action).toBeNull();
    expect(stepKey(state, press("n"), 1)).toEqual({ state: idle, action: null });
  });

  it("leaves typed letters alone, but opens the palette from a field", () => {
    for (const key of ["g", "n", "t", "/", "?"]) expect(stepKey(idle, press(key, { typing: true }), 0).action).toBeNull();
    expect(stepKey(idle, press("k", { typing: true, ctrl: true }), 0).action).toEqual({ kind: "palette" });
  });

  it("does not take the browser's own combinations", () => {
    for (const key of ["t", "n", "g"]) expect(stepKey(idle, press(key, { ctrl: true }), 0).action).toBeNull();
  });
});

describe("routes", () => {
  it("read back as they were written", () => {
    const routes: Route[] = [
      { screen: "requests", id: "a/b c%?#", query: { q: "x&y=1", status: "error" } },
      { screen: "chat", id: null, query: {} },
    ];
    for (const route of routes) expect(parseRoute(formatRoute(route))).toEqual(route);
  });

  it("forgive what people type", () => {
    expect(parseRoute("")).toEqual({ screen: "chat", id: null, query: {} });
    expect(parseRoute("#/models/%zz").id).toBe("%zz");
  });
});

describe("fuzzy search", () => {
  it("wants all letters in order and prefers word starts", () => {
    expect(fuzzyScore("xyz", "models")).toBeNull();
    const items = ["A long remark", "Live", "Requests live tail"];
    expect(fuzzyFilter("li", items, (item) => item)[0]).toBe("Live");
    expect(fuzzyFilter(" ", items, (item) => item)).toEqual(items);
  });
});

describe("formats", () => {
  it("give three figures and a unit", () => {
    expect(formatMs(0.6181)).toBe("0.618 ms");
    expect(formatMs(1234)).toBe("1.23 s");
    expect(formatMs(61_000)).toBe("1 min 1 s");
    expect(formatBytes(97_500_000)).toBe("93 MiB");
    expect(formatBytes(0)).toBe("0 B");
    expect(formatCount(134_515_008)).toBe("135 M");
    expect(formatCount(8192)).toBe("8,192");
    expect(formatDuration(90_061)).toBe("1 d 1 h");
  });

  it("show a dash for what is not known", () => {
    for (const format of [formatMs, formatBytes, formatCount, formatNumber]) {
      for (const nothing of [null, undefined, Number.NaN]) expect(format(nothing)).toBe(NONE);
    }
  });
});

describe("errors", () => {
  it("carry the server's words, or the beginning of what came", () => {
    expect(errorFrom(400, '{"error":{"message":"top_p is 3"}}').message).toBe("top_p is 3");
    expect(errorFrom(502, "<h1>Bad gateway</h1>").message).toBe("<h1>Bad gateway</h1>");
    expect(errorFrom(500, "").message).toBe("HTTP 500");
    const long = errorFrom(400, '{"error":{"message":"9 tokens, room for 5","code":"context_length_exceeded"}}');
    expect(long).toMatchObject({ kind: "too_long", status: 400 });
  });

  it("sort by what a person can do", () => {
    expect([401, 404, 429, 503, 400, 500].map((status) => kindOf(status))).toEqual(["unauthorized", "not_found", "busy", "busy", "bad_request", "server"]);
  });
});
