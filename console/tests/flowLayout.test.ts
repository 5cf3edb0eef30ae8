import { describe, expect, it } from "vitest";
import { layOut, nearest, neighbour, NODE_H, type Box } from "../src/flows/layout";
import type { Graph, GraphNode } from "../src/flows/types";

const node = (id: string, outer = "", arm = "", kind = "set"): GraphNode => ({ id, kind, title: id, outer, arm, conditional: false, line: 1 });
const after = (from: string, to: string) => ({ from, to, kind: "after" as const, label: "" });

/** A graph of `count` steps, each after up to two of the twelve before it. */
function random(count: number, seed: number): Graph {
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const nodes = Array.from({ length: count }, (_, n) => node(`s${n}`));
  const edges = [];
  for (let n = 1; n < count; n += 1) {
    for (const back of new Set([1 + below(12), 1 + below(12)])) if (n - back >= 0) edges.push(after(`s${n - back}`, `s${n}`));
  }
  return { name: "random", nodes, edges };
}

const overlap = (a: Box, b: Box) => a.x < b.x + b.w - 1e-6 && b.x < a.x + a.w - 1e-6 && a.y < b.y + b.h - 1e-6 && b.y < a.y + a.h - 1e-6;

describe("layout", () => {
  it("puts a step below all it comes after, and no two on one another", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const graph = random(60, seed);
      const { boxes, lines, width, height } = layOut(graph, new Set());
      const at = new Map(boxes.map((box) => [box.id, box]));
      const wrong = graph.edges.filter((edge) => at.get(edge.from)!.y + NODE_H >= at.get(edge.to)!.y).map((edge) => `${edge.from} above ${edge.to}`);
      for (const [n, a] of boxes.entries()) for (const b of boxes.slice(n + 1)) if (overlap(a, b)) wrong.push(`${a.id} on ${b.id}`);
      expect(wrong, `seed ${seed}`).toEqual([]);
      expect(lines).toHaveLength(graph.edges.length);
      expect(boxes.every((box) => box.x >= -1e-6 && box.x + box.w <= width + 1e-6 && box.y + box.h <= height + 1e-6)).toBe(true);
    }
  });

  it("puts what a step holds inside of it, and nothing of it when folded", () => {
    const graph: Graph = {
      name: "nested",
      nodes: [node("a"), node("loop", "", "", "for_each"), node("fit", "loop"), node("choose", "loop", "", "branch"), node("yes", "choose", "then"), node("no", "choose", "else"), node("end")],
      edges: [after("a", "loop"), after("fit", "choose"), after("loop", "end"), { from: "loop", to: "fit", kind: "inside", label: "" }],
    };
    const { boxes, arms } = layOut(graph, new Set());
    const at = new Map(boxes.map((box) => [box.id, box]));
    for (const { id, outer } of graph.nodes) {
      if (!outer) continue;
      const [inner, around] = [at.get(id)!, at.get(outer)!];
      expect(inner.x >= around.x && inner.x + inner.w <= around.x + around.w && inner.y >= around.y + NODE_H && inner.y + inner.h <= around.y + around.h).toBe(true);
    }
    expect(overlap(at.get("yes")!, at.get("no")!)).toBe(false);
    expect(arms.map((arm) => arm.label).sort()).toEqual(["", "else", "then"]);
    expect(at.get("end")!.y).toBeGreaterThan(at.get("loop")!.y + at.get("loop")!.h);
    const folded = layOut(graph, new Set(["loop"]));
    expect(folded.boxes.map((box) => box.id)).toEqual(["a", "loop", "end"]);
  });

  it("draws a chain straight", () => {
    const { boxes } = layOut({ name: "chain", nodes: [node("a"), node("b"), node("c")], edges: [after("a", "b"), after("b", "c")] }, new Set());
    expect(new Set(boxes.map((box) => box.x)).size).toBe(1);
  });

  it("lays out a thousand steps", () => {
    const { boxes } = layOut(random(1000, 7), new Set());
    expect(boxes).toHaveLength(1000);
  });

  it("moves a layer as little as order and gaps allow", () => {
    const layer = [{ x: 0, w: 10 }, { x: 0, w: 10 }, { x: 0, w: 10 }];
    nearest(layer, [0, 0, 500]);
    expect(layer[1]!.x - layer[0]!.x).toBe(38);
    expect(layer[0]!.x + layer[1]!.x).toBe(0);
    expect(layer[2]!.x).toBe(500);
  });

  it("finds the next step for an arrow key", () => {
    const { boxes } = layOut({ name: "fork", nodes: [node("a"), node("b"), node("c")], edges: [after("a", "b"), after("a", "c")] }, new Set());
    const at = new Map(boxes.map((box) => [box.id, box]));
    expect(neighbour(boxes, at.get("b")!, "ArrowRight")?.id).toBe("c");
    expect(neighbour(boxes, at.get("c")!, "ArrowUp")?.id).toBe("a");
    expect(neighbour(boxes, at.get("a")!, "ArrowUp")).toBeNull();
  });
});
