import { describe, expect, it } from "vitest";
import { translator } from "../src/i18n";
import { Fold, idOf, parentOf, standsOf, stepsOf } from "../src/flows/fold";
import { dayMs, failedPath, filterOf, mergePage, queryOf, type RunList } from "../src/flows/runList";
import type { RunEvent, RunHead } from "../src/flows/types";
import { barOf, pan, rowsOf, wholeWindow, zoom } from "../src/flows/waterfall";
import { waitWords } from "../src/flows/words";

const head = (id: number, status: RunHead["status"] = "running"): RunHead => ({ id: `run_${String(id).padStart(4, "0")}`, workflow: "w", version: 1, status, started_unix_ms: id, updated_unix_ms: id });
const ids = (list: RunList) => list.rows.map((row) => Number(row.id.slice(4)));

describe("the list of runs", () => {
  it("grows at the end and at the head, without holes or doubles", () => {
    let list: RunList = { rows: [], end: false };
    list = mergePage(list, null, { data: [head(9), head(8)], has_more: true });
    list = mergePage(list, "run_0008", { data: [head(7), head(6)], has_more: true });
    expect(ids(list)).toEqual([9, 8, 7, 6]);
    list = mergePage(list, null, { data: [head(11), head(10), head(9)], has_more: true });
    expect(ids(list)).toEqual([11, 10, 9, 8, 7, 6]);
    list = mergePage(list, "run_0006", { data: [head(5)], has_more: false });
    expect(ids(list)).toEqual([11, 10, 9, 8, 7, 6, 5]);
    expect(list.end).toBe(true);
  });

  it("drops what a page no longer holds and takes what changed", () => {
    let list: RunList = { rows: [9, 8, 7, 6, 5].map((id) => head(id)), end: true };
    list = mergePage(list, "run_0009", { data: [head(7, "failed"), head(6)], has_more: true });
    expect(ids(list)).toEqual([9, 7, 6, 5]);
    expect(list.rows[1]!.status).toBe("failed");
    expect(list.end).toBe(true);
    list = mergePage(list, null, { data: [], has_more: false });
    expect(list).toEqual({ rows: [], end: true });
  });

  it("is the server's list whatever pages come in whichever order", () => {
    let state = 5;
    const below = (n: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % n;
    let server = Array.from({ length: 40 }, (_, n) => head(40 - n));
    let list: RunList = { rows: [], end: false };
    for (let round = 0; round < 400; round += 1) {
      if (below(3) === 0) server = server.filter(() => below(20) !== 0);
      if (below(3) === 0) server = [head(1000 + round), ...server];
      const at = list.rows.length ? below(list.rows.length + 1) : 0;
      const after = at === 0 ? null : list.rows[at - 1]!.id;
      const left = after === null ? server : server.filter((row) => row.id < after);
      const limit = 1 + below(10);
      list = mergePage(list, after, { data: left.slice(0, limit), has_more: left.length > limit });
      const sorted = [...list.rows].sort((a, b) => (a.id < b.id ? 1 : -1));
      expect(list.rows).toEqual(sorted);
      expect(new Set(list.rows.map((row) => row.id)).size).toBe(list.rows.length);
    }
    list = mergePage(list, null, { data: server, has_more: false });
    expect(list).toEqual({ rows: server, end: true });
  });

  it("asks the server for what the filter says", () => {
    const filter = filterOf({ status: "failed", label: "team", text: " no route ", to: "2026-03-01" });
    expect(Object.fromEntries(queryOf(filter))).toEqual({ status: "failed", text: "no route", to_unix_ms: String(dayMs("2026-03-01")! + 86_400_000) });
    expect(queryOf(filterOf({ label: "team=a" })).get("label")).toBe("team=a");
    expect(dayMs("soon")).toBeNull();
  });

  it("says in words what a run waits for", () => {
    const t = translator("en");
    expect(waitWords({ waiting: ["human:gate"] }, t)).toBe("waits for a person: gate");
    expect(waitWords({ waiting: ["signal:paid", "event/news"] }, t)).toBe("waits for signal: paid, event: news");
    expect(waitWords({ waiting: ["time:a", "time:b", "time:c", "time:d"] }, t)).toBe("waits for time: a, time: b, time: c and 1 more");
    expect(waitWords({}, t)).toBe("");
  });

  it("finds the step that failed, the innermost one", () => {
    const inner = { key: "3", steps: [{ id: "get", status: "done" }, { id: "fit", status: "failed" }] };
    expect(failedPath({ steps: [{ id: "a", status: "done" }, { id: "each", status: "failed", scopes: [inner] }] })).toBe("each[3].fit");
    expect(failedPath({ steps: [{ id: "a", status: "done" }] })).toBeNull();
  });
});

let place = 0;
const event = (kind: string, at_ms: number, rest: Partial<RunEvent> = {}): RunEvent => ({ place: (place += 1), event: kind, at_ms, ...rest });

describe("the fold of events", () => {
  const fold = new Fold();
  for (const each of [
    event("run_started", 1000),
    event("step_started", 1000, { step: "get", attempt: 1 }),
    event("step_failed", 1100, { step: "get", error: { code: "unavailable", message: "no" }, until_ms: 1200, tokens: 3 }),
    event("step_started", 1200, { step: "get", attempt: 2 }),
    event("step_finished", 1300, { step: "get", value: 7, tokens: 4, cost_usd: 0.5 }),
    event("loop_opened", 1300, { step: "each", value: [1, 2] }),
    event("scope_opened", 1300, { step: "each", name: "0", number: 0 }),
    event("step_waiting", 1310, { step: "each[0].ask" }),
    event("step_finished", 1400, { step: "each[0].ask", value: { decision: "approved" } }),
    event("step_skipped", 1400, { step: "each[0].maybe" }),
    event("scope_opened", 1400, { step: "each", name: "1", number: 1 }),
    event("step_waiting", 1410, { step: "each[1].ask" }),
  ]) fold.add(each);

  it("keeps attempts, what was between them, and their cost", () => {
    const get = fold.steps.get("get")!;
    expect(get.spans.map((span) => [span.kind, span.from_ms, span.to_ms])).toEqual([["failed", 1000, 1100], ["backoff", 1100, 1200], ["run", 1200, 1300]]);
    expect(get.spans[0]!.error?.message).toBe("no");
    expect([get.status, get.tokens, get.cost_usd, get.output]).toEqual(["done", 7, 0.5, 7]);
    expect(fold.steps.get("each[1].ask")!.status).toBe("waiting");
    expect(fold.steps.get("each")!.spans).toHaveLength(1);
  });

  it("counts rounds that the state no longer holds", () => {
    const nodes = ["get", "each", "ask", "maybe"].map((id) => ({ id, kind: "set", title: id, outer: "", arm: "", conditional: false, line: 1 }));
    const state = stepsOf({ root: { key: "", steps: [{ id: "get", status: "done" }, { id: "each", status: "open", scopes: [{ key: "1", steps: [{ id: "ask", status: "waiting" }, { id: "maybe", status: "pending" }] }] }] } });
    const stands = standsOf(nodes, state, fold.steps, {});
    expect(stands.get("ask")!.counts).toEqual({ waiting: 1, done: 1 });
    expect(stands.get("ask")!.status).toBe("waiting");
    expect(standsOf(nodes, state, fold.steps, { each: "0" }).get("ask")!.counts).toEqual({ done: 1 });
    expect(standsOf(nodes, state, fold.steps, { each: "0" }).get("get")!.counts).toEqual({ done: 1 });
  });

  it("knows a step and its holder from a path", () => {
    expect(idOf("each[3].size[then].fit")).toBe("fit");
    expect(idOf("pay~undo")).toBe("pay");
    expect(parentOf("each[3].size[then].fit")).toBe("each[3].size");
    expect(parentOf("each[3].size")).toBe("each");
    expect(parentOf("each")).toBeNull();
  });

  it("is a waterfall: steps in order, what they hold below them", () => {
    const rows = rowsOf(fold);
    expect(rows.map((row) => [row.trace.path, row.depth])).toEqual([["get", 0], ["each", 0], ["each[0].ask", 1], ["each[1].ask", 1]]);
    const whole = wholeWindow(fold.begun_ms, 1500);
    expect(barOf(rows[0]!.trace.spans[0]!, whole, 1500)).toEqual({ left: 0, width: 20 });
    expect(barOf(rows[3]!.trace.spans[0]!, whole, 1500)).toEqual({ left: 82, width: 18 });
    const half = zoom(whole, whole, 0.5, 0);
    expect(half).toEqual({ from_ms: 1000, to_ms: 1250 });
    expect(barOf(rows[1]!.trace.spans[0]!, half, 1500)).toBeNull();
    expect(pan(half, whole, 10)).toEqual({ from_ms: 1250, to_ms: 1500 });
    expect(zoom(half, whole, 100)).toEqual(whole);
  });

  it("ends everything that was open when the run ends", () => {
    fold.add(event("run_cancelled", 1600));
    expect(fold.ended_ms).toBe(1600);
    expect(fold.steps.get("each[1].ask")!.spans[0]!.to_ms).toBe(1600);
    expect(fold.steps.get("each[1].ask")!.status).toBe("cancelled");
  });
});
