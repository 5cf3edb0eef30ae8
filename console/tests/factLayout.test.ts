import { describe, expect, it } from "vitest";
import { layOut } from "../src/facts/layout";
import type { Fact, FactGraph } from "../src/facts/types";

function fact(subject: string, object: string): Fact {
  return { id: `${subject}-${object}`, subject, predicate: "knows", object, confidence: 1, from_unix_ms: 0, to_unix_ms: 0, recorded_unix_ms: 0, sources: [] };
}

describe("the layout of a graph of facts", () => {
  const graph: FactGraph = {
    names: [{ name: "Ann", depth: 0 }, { name: "Bob", depth: 1 }, { name: "Cleo", depth: 1 }, { name: "Dan", depth: 2 }, { name: "Eve", depth: 2 }],
    facts: [fact("Ann", "Bob"), fact("Cleo", "Ann"), fact("Bob", "Dan"), fact("Eve", "Bob")],
  };

  it("puts the name in the middle and the others on their rings", () => {
    const { places, across, down } = layOut(graph);
    expect(places).toHaveLength(5);
    for (const { depth, x, y } of places) expect(Math.hypot(x / across, y / down)).toBeCloseTo(depth / 2);
  });

  it("puts no two names on one place, and draws the same graph alike", () => {
    const { places } = layOut(graph);
    const spots = new Set(places.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`));
    expect(spots.size).toBe(places.length);
    expect(layOut(graph)).toEqual(layOut(graph));
  });

  it("keeps a name whose link is not there", () => {
    const { places } = layOut({ names: [{ name: "Ann", depth: 0 }, { name: "Zoe", depth: 2 }], facts: [] });
    expect(places.map(({ name }) => name)).toEqual(["Ann", "Zoe"]);
  });

  it("is empty for nobody", () => {
    expect(layOut({ names: [], facts: [] }).places).toEqual([]);
  });
});
