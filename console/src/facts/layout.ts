// Where names stand: the one asked for in the middle, the others on rings by depth, each within its
// parent's sector, so that the same graph is always drawn alike.
import type { FactGraph } from "./types";

export interface Place {
  name: string;
  depth: number;
  x: number;
  y: number;
}

export interface Layout {
  places: Place[];
  across: number; // of the outermost ring, half of its width and of its height
  down: number;
}

const RING = 110;
const STRETCH = 1.7; // screens are wider than high

/** By name, who stands next to whom: facts are walked both ways. */
function neighbours(graph: FactGraph): Map<string, Set<string>> {
  const near = new Map<string, Set<string>>(graph.names.map(({ name }) => [name, new Set<string>()]));
  for (const { subject, object } of graph.facts) {
    near.get(subject)?.add(object);
    near.get(object)?.add(subject);
  }
  return near;
}

export function layOut(graph: FactGraph): Layout {
  const near = neighbours(graph);
  const depths = new Map(graph.names.map(({ name, depth }) => [name, depth]));
  const children = new Map<string, string[]>();
  for (const { name, depth } of graph.names) {
    if (depth === 0) continue;
    // A name written in two ways may have lost its link: it hangs on the middle then.
    const parent = [...(near.get(name) ?? [])].filter((one) => depths.get(one) === depth - 1).sort()[0] ?? graph.names[0]!.name;
    children.set(parent, [...(children.get(parent) ?? []), name]);
  }
  const leaves = (name: string): number => Math.max(1, (children.get(name) ?? []).reduce((sum, child) => sum + leaves(child), 0));

  const places: Place[] = [];
  const put = (name: string, from: number, to: number) => {
    const depth = depths.get(name) ?? 0;
    const angle = (from + to) / 2;
    places.push({ name, depth, x: Math.cos(angle) * depth * RING * STRETCH, y: Math.sin(angle) * depth * RING });
    const all = leaves(name);
    let begin = from;
    for (const child of children.get(name) ?? []) {
      const end = begin + ((to - from) * leaves(child)) / all;
      put(child, begin, end);
      begin = end;
    }
  };
  if (graph.names[0]) put(graph.names[0].name, -Math.PI / 2, (3 * Math.PI) / 2);
  const down = Math.max(1, ...graph.names.map(({ depth }) => depth)) * RING;
  return { places, across: down * STRETCH, down };
}
