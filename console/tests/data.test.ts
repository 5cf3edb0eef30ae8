import { describe, expect, it } from "vitest";
import type { ModelEntry, RequestRecord, Sample } from "../src/api/types";
import { hitRate, hitRates, pagesOf, perSecond } from "../src/engine/figures";
import { appendSamples, backoffMs, SAMPLES_MAX } from "../src/live/feed";
import { scaleOf } from "../src/live/draw";
import { cpuCores, lastSeconds, nearestIndex, niceByteStep, niceStep, ticks } from "../src/live/series";
import { longTexts, otherDetails, shapeOf } from "../src/models/details";
import { pickModel } from "../src/models/useModels";
import { asCurl, failed, matches, mergeHead, mergeOlder, mergeRecords, waterfall, type Filter } from "../src/requests/log";
import { visibleRows } from "../src/ui/useVirtual";
import { flatten } from "../src/system/flatten";

const sample = (unix_ms: number, more: Partial<Sample> = {}) => ({ unix_ms, cpu_seconds_total: 0, ...more }) as Sample;
const record = (id: string, unix_ms: number, more: Partial<RequestRecord> = {}) =>
  ({ id, unix_ms, trace_id: `t-${id}`, method: "POST", path: "/v1/chat/completions", model: "m", stream: true, status: 200,
    finish: "stop", error: null, client: "127.0.0.1", user_agent: "curl", total_ms: 10, ...more }) as RequestRecord;

describe("samples", () => {
  it("append in order, without doubles, and never outgrow the limit", () => {
    const many = Array.from({ length: SAMPLES_MAX + 50 }, (_, n) => sample(n * 1000));
    const kept = appendSamples(many.slice(0, 10), many.slice(9));
    expect(kept.length).toBe(SAMPLES_MAX);
    expect(kept[kept.length - 1]?.unix_ms).toBe((SAMPLES_MAX + 49) * 1000);
  });

  it("start afresh when the clock went back", () => {
    expect(appendSamples([sample(5000)], [sample(1000)])).toEqual([sample(1000)]);
  });

  it("wait longer after each failure, up to a limit", () => {
    expect([1, 2, 3, 9].map(backoffMs)).toEqual([1000, 2000, 4000, 15_000]);
  });

  it("become cores busy per second, with a hole where it cannot be known", () => {
    const samples = [sample(0, { cpu_seconds_total: 5 }), sample(2000, { cpu_seconds_total: 8 }), sample(3000, { cpu_seconds_total: 1 })];
    expect(cpuCores(samples)).toEqual([null, 1.5, null]);
    expect(lastSeconds(samples, 2).length).toBe(2);
  });
});

describe("engine figures", () => {
  const at = (unix_ms: number, prompt: number, cached: number, more: Partial<Sample> = {}) =>
    sample(unix_ms, { prompt_tokens_total: prompt, kv_pages_used: 0, kv_pages_total: 0, cached_tokens_total: cached, kv_pages_cached: 0, ...more });

  it("hit rate counts cached tokens against all of the prompt", () => {
    expect(hitRate([at(0, 100, 50), at(1000, 125, 125)])).toBe(0.75);
    expect(hitRate([at(0, 100, 50), at(1000, 100, 50)])).toBeNull();
    expect(hitRate([at(0, 100, 50), at(1000, 3, 0)])).toBeNull(); // the server started again
    expect(hitRate([])).toBeNull();
  });

  it("hit rates look back a window", () => {
    const samples = [at(0, 0, 0), at(10_000, 10, 0), at(20_000, 10, 10), at(30_000, 10, 20)];
    expect(hitRates(samples, 10)).toEqual([null, 0, 100, 100]);
  });

  it("totals become rates, with holes where they cannot be known", () => {
    const samples = [at(0, 4, 0), at(2000, 10, 0), at(3000, 1, 0)];
    expect(perSecond(samples, (s) => s.prompt_tokens_total)).toEqual([null, 3, null]);
  });

  it("pages add up even when two counters were read apart", () => {
    expect(pagesOf(at(0, 0, 0, { kv_pages_used: 6, kv_pages_total: 10, kv_pages_cached: 9 }))).toEqual({ held: 0, cached: 6, free: 4 });
  });
});

describe("chart scale", () => {
  it("has round steps that cover the largest value", () => {
    for (const max of [0.003, 0.7, 1, 3, 17, 99, 1e6]) {
      const marks = ticks(max, 3, niceStep(max, 3));
      expect(marks[0]).toBe(0);
      expect(marks[marks.length - 1]).toBeGreaterThanOrEqual(max);
      expect(marks.length).toBeLessThanOrEqual(5);
    }
    expect(niceByteStep(300 * 2 ** 20, 3)).toBe(128 * 2 ** 20);
    expect(niceStep(0, 3)).toBe(1);
  });

  it("maps time and back", () => {
    const scale = scaleOf({ width: 500, height: 150, times: [0, 60_000], span_s: 60, lines: [], ceiling: 10, bytes: false, whole: false });
    expect(scale.timeAt(scale.x(42_000))).toBeCloseTo(42_000);
    expect(scale.y(0)).toBeGreaterThan(scale.y(10));
  });

  it("finds the nearest sample", () => {
    expect([-5, 4, 6, 99].map((at) => nearestIndex([0, 10, 20], at))).toEqual([0, 0, 1, 2]);
    expect(nearestIndex([], 5)).toBe(-1);
  });
});

describe("request log", () => {
  const filter: Filter = { status: "all", model: "", text: "" };

  it("merges by id, newest first, the newer state winning", () => {
    const merged = mergeRecords([record("a", 1), record("b", 2)], [record("c", 3), record("a", 1, { status: 500 })]);
    expect(merged.map((r) => r.id)).toEqual(["c", "b", "a"]);
    expect(merged[2]?.status).toBe(500);
  });

  it("keeps what is loaded while the head overlaps, and drops it rather than hide a hole", () => {
    const known = { records: [record("b", 2), record("a", 1)], next: null };
    expect(mergeHead(known, { requests: [record("c", 3), record("b", 2)], next_before: "b" }).records.length).toBe(3);
    const jumped = mergeHead(known, { requests: [record("z", 9)], next_before: "z" });
    expect(jumped).toEqual({ records: [record("z", 9)], next: "z" });
    expect(mergeOlder(jumped, { requests: [record("b", 2)], next_before: null })).toEqual({ records: [record("z", 9), record("b", 2)], next: null });
  });

  it("filters by status, model and text", () => {
    const bad = record("x", 1, { status: 400, finish: null, error: { code: "invalid_request", message: "Temperature is 3" } });
    expect(failed(bad)).toBe(true);
    expect(matches(bad, { ...filter, status: "ok" })).toBe(false);
    expect(matches(bad, { ...filter, status: "error", text: "TEMPERATURE" })).toBe(true);
    expect(matches(bad, { ...filter, model: "other" })).toBe(false);
    expect(matches(record("x", 1), { ...filter, text: "t-x" })).toBe(true);
  });

  it("draws only the rows in view", () => {
    const { first, last } = visibleRows(50_000, 16, 100_000);
    expect(first).toBe(49_992);
    expect(last - first).toBeLessThan(40);
    expect(visibleRows(0, 16, 3)).toEqual({ first: 0, last: 3 });
    expect(visibleRows(2600, 16, 3)).toEqual({ first: 3, last: 3 });
  });

  it("lays spans out on the whole request, in the order of its life", () => {
    const spans = [{ name: "decode" as const, start_ms: 50, end_ms: 100 }, { name: "queue" as const, start_ms: 0, end_ms: 10 }];
    const { bars, total_ms } = waterfall(record("a", 1, { spans, total_ms: 200 }));
    expect(total_ms).toBe(200);
    expect(bars.map((bar) => [bar.name, bar.left_percent, bar.width_percent])).toEqual([["queue", 0, 5], ["decode", 25, 25]]);
    expect(waterfall(record("a", 1)).bars).toEqual([]);
  });

  it("turns a record into a shell-safe curl command", () => {
    const curl = asCurl(record("a", 1, { model: "it's" }), "http://h:1", "hi $(rm)") ?? "";
    expect(curl).toContain("curl -N 'http://h:1/v1/chat/completions'");
    expect(curl).toContain(`"model":"it'\\''s"`);
    expect(asCurl(record("a", 1, { path: "/v1/unknown" }), "", "")).toBeNull();
  });
});

describe("models and configuration", () => {
  const entry = { id: "m", generates: true, details: { layers: 2, chat_template: "a\nb", weights_bytes: 2048, odd: { x: 1 } } } as unknown as ModelEntry;

  it("places what it knows and shows the rest with units", () => {
    expect(shapeOf(entry)).toEqual([{ key: "layers", text: "2" }]);
    expect(longTexts(entry).map((row) => row.key)).toEqual(["chat_template"]);
    expect(otherDetails(entry)).toEqual([{ key: "weights_bytes", text: "2 KiB" }, { key: "odd", text: '{"x":1}' }]);
  });

  it("keeps the chosen model while it is served, else takes one that generates", () => {
    const encoder = { ...entry, id: "e", generates: false };
    expect(pickModel("m", [encoder, entry])).toBe("m");
    expect(pickModel("gone", [encoder, entry])).toBe("m");
    expect(pickModel("e", [encoder])).toBe("e");
  });

  it("flattens a configuration in its own order", () => {
    expect(flatten({ b: { x: 1, y: [1, 2] }, a: "s", c: {} })).toEqual([["b.x", "1"], ["b.y", "[1,2]"], ["a", "s"], ["c", "{}"]]);
  });
});
