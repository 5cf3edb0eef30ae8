import { describe, expect, it } from "vitest";
import { diffLines, excerpt } from "../src/flows/diff";
import { stepOf } from "../src/flows/document";
import { addHealth, rates, type HealthSample } from "../src/flows/health";
import { offsetOf } from "../src/flows/SourceEditor";
import type { Health, RunEvent } from "../src/flows/types";
import { EventFeed } from "../src/flows/useRun";
import { rowOfKey } from "../src/ui/useVirtual";

const event = (place: number): RunEvent => ({ place, event: "step_skipped", at_ms: place, step: `s${place}` });

describe("a run's events", () => {
  it("are taken once each, in order, whatever comes twice", () => {
    const feed = new EventFeed(3);
    expect([4, 5, 5, 4, 6].map((place) => feed.take(event(place)))).toEqual([true, true, false, false, true]);
    expect(feed.events.map(({ place }) => place)).toEqual([4, 5, 6]);
    expect(feed.place).toBe(6);
    expect(() => feed.take(event(8))).toThrow("event 7 is missing");
    expect(feed.take(event(7))).toBe(true);
  });
});

describe("the difference of two texts", () => {
  const both = (before: string, after: string) => {
    const lines = diffLines(before, after);
    const text = (how: string) => lines.filter((line) => line.how !== how).map((line) => line.text).join("\n");
    return [text("new"), text("old"), lines.filter((line) => line.how !== "same").length] as const;
  };

  it("gives back both, and says no more than changed", () => {
    expect(both("a\nb\nc", "a\nc\nd")).toEqual(["a\nb\nc", "a\nc\nd", 2]);
    expect(both("a", "a")).toEqual(["a", "a", 0]);
    expect(both("", "x")).toEqual(["", "x", 2]);
    let state = 3;
    const below = (n: number) => Math.floor(((state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32) * n);
    for (let round = 0; round < 300; round += 1) {
      const text = () => Array.from({ length: below(12) }, () => "abc"[below(3)]).join("\n");
      const [before, after] = [text(), text()];
      expect(both(before, after).slice(0, 2), `round ${round}`).toEqual([before, after]);
    }
  });

  it("is bounded for texts that share nothing", () => {
    const long = (mark: string) => Array.from({ length: 3000 }, (_, n) => `${mark}${n}`).join("\n");
    expect(both(long("a"), long("b"))).toEqual([long("a"), long("b"), 6000]);
  });

  it("leaves out what is far from any change", () => {
    const text = Array.from({ length: 20 }, (_, n) => String(n));
    const lines = excerpt(diffLines(text.join("\n"), text.map((each, n) => (n === 10 ? "x" : each)).join("\n")), 2);
    expect(lines.map((line) => line?.text ?? "...")).toEqual(["...", "8", "9", "10", "x", "11", "12", "..."]);
  });
});

describe("small things", () => {
  it("finds a step's own part of a definition", () => {
    const document = { input: { id: "b" }, steps: [{ id: "a", branch: { then: [{ id: "b", set: { x: 1 } }] } }] };
    expect(stepOf(document, "b")).toEqual({ id: "b", set: { x: 1 } });
    expect(stepOf(document, "c")).toBeUndefined();
  });

  it("finds the place of a line and a column", () => {
    expect(offsetOf("ab\ncd\n", 2, 2)).toBe(4);
    expect(offsetOf("ab\ncd\n", 2, 99)).toBe(5);
    expect(offsetOf("ab", 9, 1)).toBe(0);
  });

  it("moves in a list by keys", () => {
    expect(["ArrowDown", "ArrowUp", "End", "Home", "PageDown", "x"].map((key) => rowOfKey(key, 3, 10, 5))).toEqual([4, 2, 9, 0, 8, null]);
  });

  it("makes rates of counts, with a hole where a process began anew", () => {
    const sample = (unix_ms: number, started: number) => ({ unix_ms, health: { since_start: { started } } as unknown as Health });
    let samples: HealthSample[] = [];
    for (const each of [sample(0, 5), sample(2000, 25), sample(3000, 1)]) samples = addHealth(samples, each);
    expect(rates(samples, (health) => health.since_start?.started)).toEqual([null, 10, null]);
    expect(addHealth(samples, sample(1000, 0))).toHaveLength(1);
  });
});
