// Where a workflow's steps stand. Steps depend on each other only within their block (the file, an
// arm, a round), so each block is a small layered drawing of its own, and a step that holds blocks
// is a box around theirs: from the inside out, nothing is laid out twice.
//
// Within a block: layers by longest path; edges that pass a layer get a place in it; order by
// barycenters, keeping the order with the fewest crossings; then each layer takes the positions
// nearest to its neighbours' that keep the order and the gaps (isotonic regression).
import type { Graph, GraphNode } from "./types";

export const NODE_W = 200;
export const NODE_H = 52;
const GAP_X = 28;
const GAP_Y = 34;
const PAD = 16;
const ARM_H = 20;
const PASS_W = 12; // what an edge takes of a layer it passes
const PASSES_MAX = 20_000; // over it, long edges are drawn straight
const SWEEPS = 6;

export interface Box {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  depth: number;
  holds: boolean; // has steps within
  folded: boolean; // they are not shown
}

export interface Arm {
  outer: string;
  label: string;
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Line {
  from: string;
  to: string;
  kind: "after" | "jump";
  points: [number, number][];
}

export interface Drawing {
  boxes: Box[];
  arms: Arm[];
  lines: Line[];
  width: number;
  height: number;
}

interface Item {
  id: string;
  w: number;
  h: number;
  layer: number;
  x: number; // of its middle
  ups: Item[];
  downs: Item[];
  at: number; // in its layer
}

interface Placed {
  boxes: Box[];
  arms: Arm[];
  lines: Line[];
  w: number;
  h: number;
}

export function layOut(graph: Graph, folded: ReadonlySet<string>): Drawing {
  const blocks = new Map<string, Map<string, GraphNode[]>>(); // outer, arm
  for (const node of graph.nodes) {
    const arms = blocks.get(node.outer) ?? new Map<string, GraphNode[]>();
    blocks.set(node.outer, arms);
    arms.set(node.arm, [...(arms.get(node.arm) ?? []), node]);
  }
  const after = new Map<string, string[]>();
  for (const edge of graph.edges) {
    if (edge.kind !== "after") continue;
    const known = after.get(edge.to);
    if (known) known.push(edge.from);
    else after.set(edge.to, [edge.from]);
  }

  const placeBlock = (nodes: GraphNode[], depth: number): Placed => {
    const inner = new Map(nodes.map((node) => [node.id, placeStep(node, depth)]));
    const items = new Map<string, Item>();
    for (const node of nodes) {
      const { w, h } = inner.get(node.id)!;
      items.set(node.id, { id: node.id, w, h, layer: 0, x: 0, ups: [], downs: [], at: 0 });
    }
    const edges: [Item, Item][] = [];
    for (const node of nodes) {
      for (const from of after.get(node.id) ?? []) {
        const up = items.get(from);
        if (up) edges.push([up, items.get(node.id)!]);
      }
    }
    const { layers, paths } = intoLayers([...items.values()], edges);
    order(layers);
    place(layers);

    const out: Placed = { boxes: [], arms: [], lines: [], w: 0, h: 0 };
    let left = Infinity;
    for (const layer of layers) for (const item of layer) left = Math.min(left, item.x - item.w / 2);
    if (!Number.isFinite(left)) left = 0;
    const tops: number[] = [];
    const heights: number[] = [];
    let y = 0;
    layers.forEach((layer, n) => {
      tops[n] = y;
      heights[n] = Math.max(0, ...layer.map((item) => item.h));
      y += heights[n]! + GAP_Y;
      for (const item of layer) {
        item.x -= left;
        out.w = Math.max(out.w, item.x + item.w / 2);
        const own = inner.get(item.id);
        if (own) merge(out, own, item.x - item.w / 2, tops[n]!);
      }
    });
    out.h = Math.max(0, y - GAP_Y);
    for (const path of paths) {
      const [first, last] = [path[0]!, path[path.length - 1]!];
      const points: [number, number][] = [[first.x, tops[first.layer]! + first.h]];
      for (const pass of path.slice(1, -1)) {
        points.push([pass.x, tops[pass.layer]!], [pass.x, tops[pass.layer]! + heights[pass.layer]!]);
      }
      points.push([last.x, tops[last.layer]!]);
      out.lines.push({ from: first.id, to: last.id, kind: "after", points });
    }
    return out;
  };

  const placeStep = (node: GraphNode, depth: number): Placed => {
    const arms = blocks.get(node.id);
    const box: Box = { id: node.id, x: 0, y: 0, w: NODE_W, h: NODE_H, depth, holds: arms !== undefined, folded: folded.has(node.id) };
    const out: Placed = { boxes: [box], arms: [], lines: [], w: NODE_W, h: NODE_H };
    if (!arms || box.folded) return out;
    let x = PAD;
    let bottom = 0;
    const top = NODE_H + ([...arms.keys()].some((label) => label !== "") ? ARM_H : 12);
    for (const [label, nodes] of arms) {
      const block = placeBlock(nodes, depth + 1);
      const w = Math.max(block.w, label ? 80 : 0);
      merge(out, block, x + (w - block.w) / 2, top);
      out.arms.push({ outer: node.id, label, x, y: NODE_H, w, h: block.h + top - NODE_H });
      x += w + GAP_X;
      bottom = Math.max(bottom, top + block.h);
    }
    box.w = out.w = Math.max(NODE_W, x - GAP_X + PAD);
    box.h = out.h = bottom + PAD;
    const spare = box.w - (x - GAP_X + PAD); // a narrow block stands in the middle
    if (spare > 0) {
      for (const each of out.boxes) if (each !== box) each.x += spare / 2;
      for (const each of out.arms) each.x += spare / 2;
      for (const line of out.lines) line.points = line.points.map(([px, py]) => [px + spare / 2, py]);
    }
    return out;
  };

  const whole = placeBlock([...(blocks.get("")?.values() ?? [])].flat(), 0);
  const at = new Map(whole.boxes.map((box) => [box.id, box]));
  for (const edge of graph.edges) {
    const from = at.get(edge.from);
    const to = at.get(edge.to);
    if (edge.kind !== "jump" || !from || !to) continue;
    const x = Math.max(from.x + from.w, to.x + to.w);
    const [y0, y1] = [from.y + Math.min(from.h, NODE_H) / 2, to.y + Math.min(to.h, NODE_H) / 2];
    whole.lines.push({ from: edge.from, to: edge.to, kind: "jump", points: [[from.x + from.w, y0], [x + 22, y0], [x + 22, y1], [to.x + to.w, y1]] });
    whole.w = Math.max(whole.w, x + 24);
  }
  return { boxes: whole.boxes, arms: whole.arms, lines: whole.lines, width: whole.w, height: whole.h };
}

function merge(into: Placed, from: Placed, x: number, y: number): void {
  for (const box of from.boxes) {
    box.x += x;
    box.y += y;
    into.boxes.push(box);
  }
  for (const arm of from.arms) {
    arm.x += x;
    arm.y += y;
    into.arms.push(arm);
  }
  for (const line of from.lines) {
    line.points = line.points.map(([px, py]) => [px + x, py + y]);
    into.lines.push(line);
  }
}

/** Layers with places for edges that pass; each edge as the items on its way. */
function intoLayers(items: Item[], edges: [Item, Item][]): { layers: Item[][]; paths: Item[][] } {
  const open = new Map<Item, number>(items.map((item) => [item, 0]));
  const downs = new Map<Item, Item[]>(items.map((item) => [item, []]));
  for (const [up, down] of edges) {
    open.set(down, open.get(down)! + 1);
    downs.get(up)!.push(down);
  }
  const ready = items.filter((item) => open.get(item) === 0);
  for (let n = 0; n < ready.length; n += 1) {
    const up = ready[n]!;
    for (const down of downs.get(up)!) {
      down.layer = Math.max(down.layer, up.layer + 1);
      open.set(down, open.get(down)! - 1);
      if (open.get(down) === 0) ready.push(down);
    }
  }
  const layers: Item[][] = [];
  const put = (item: Item) => {
    const layer = (layers[item.layer] ??= []);
    item.at = layer.length;
    layer.push(item);
  };
  for (const item of items) put(item);
  const passes = edges.reduce((sum, [up, down]) => sum + Math.max(0, down.layer - up.layer - 1), 0);
  const paths = edges.map(([up, down]) => {
    const path = [up];
    for (let layer = up.layer + 1; layer < down.layer && passes <= PASSES_MAX; layer += 1) {
      const pass: Item = { id: "", w: PASS_W, h: 0, layer, x: 0, ups: [], downs: [], at: 0 };
      put(pass);
      path.push(pass);
    }
    path.push(down);
    for (let n = 1; n < path.length; n += 1) {
      path[n - 1]!.downs.push(path[n]!);
      path[n]!.ups.push(path[n - 1]!);
    }
    return path;
  });
  return { layers, paths };
}

function order(layers: Item[][]): void {
  if (layers.every((layer) => layer.length < 2)) return;
  const near = (item: Item, others: Item[]) =>
    others.length ? others.reduce((sum, other) => sum + other.at, 0) / others.length : item.at;
  const number = (layer: Item[]) => layer.forEach((item, n) => (item.at = n));
  let best = layers.map((layer) => [...layer]);
  let fewest = crossings(layers);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const keys = new Map(layer.map((item) => [item, near(item, down ? item.ups : item.downs)]));
      layer.sort((a, b) => keys.get(a)! - keys.get(b)! || a.at - b.at);
      number(layer);
    }
    const crossed = crossings(layers);
    if (crossed < fewest) {
      fewest = crossed;
      best = layers.map((layer) => [...layer]);
    }
  }
  best.forEach((layer, n) => {
    layers[n]!.splice(0, Infinity, ...layer);
    number(layers[n]!);
  });
}

/** How many pairs of edges between neighbouring layers cross: inversions, by a Fenwick tree. */
function crossings(layers: Item[][]): number {
  let total = 0;
  for (let n = 0; n + 1 < layers.length; n += 1) {
    const size = layers[n + 1]!.length;
    if (size < 2 || layers[n]!.length < 2) continue;
    const tree = new Int32Array(size + 1);
    let seen = 0;
    for (const item of layers[n]!) {
      const ends = item.downs.map((down) => down.at).sort((a, b) => a - b);
      for (const end of ends) {
        let before = 0;
        for (let at = end + 1; at > 0; at -= at & -at) before += tree[at]!;
        total += seen - before;
      }
      for (const end of ends) {
        for (let at = end + 1; at <= size; at += at & -at) tree[at]! += 1;
        seen += 1;
      }
    }
  }
  return total;
}

/** Positions across. */
function place(layers: Item[][]): void {
  for (const layer of layers) {
    let x = 0;
    for (const item of layer) {
      item.x = x + item.w / 2;
      x += item.w + GAP_X;
    }
    for (const item of layer) item.x -= (x - GAP_X) / 2;
  }
  const mean = (others: Item[]) => others.reduce((sum, other) => sum + other.x, 0) / others.length;
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const wanted = layer.map((item) => {
        const others = sweep + 1 === SWEEPS ? [...item.ups, ...item.downs] : down ? item.ups : item.downs;
        return others.length ? mean(others) : item.x;
      });
      nearest(layer, wanted);
    }
  }
}

/** Moves a layer to where the sum of squared distances from `wanted` is least, order and gaps kept:
 *  neighbours that would collide move as one (pool adjacent violators). */
export function nearest(layer: { x: number; w: number }[], wanted: number[]): void {
  const shift: number[] = [];
  layer.forEach((item, n) => {
    const before = layer[n - 1];
    shift[n] = before ? shift[n - 1]! + (before.w + item.w) / 2 + GAP_X : 0;
  });
  const pools: { sum: number; count: number }[] = [];
  layer.forEach((_, n) => {
    pools.push({ sum: wanted[n]! - shift[n]!, count: 1 });
    for (;;) {
      const last = pools[pools.length - 1]!;
      const before = pools[pools.length - 2];
      if (!before || before.sum / before.count <= last.sum / last.count) break;
      before.sum += last.sum;
      before.count += last.count;
      pools.pop();
    }
  });
  let n = 0;
  for (const pool of pools) {
    for (let k = 0; k < pool.count; k += 1, n += 1) layer[n]!.x = pool.sum / pool.count + shift[n]!;
  }
}

/** The step nearest in a direction, for the arrow keys. */
export function neighbour(boxes: Box[], from: Box, key: string): Box | null {
  const middle = (box: Box): [number, number] => [box.x + box.w / 2, box.y + Math.min(box.h, NODE_H) / 2];
  const [x, y] = middle(from);
  const vertical = key === "ArrowDown" || key === "ArrowUp";
  const sign = key === "ArrowDown" || key === "ArrowRight" ? 1 : -1;
  let best: Box | null = null;
  let least = Infinity;
  for (const box of boxes) {
    if (box === from) continue;
    const [bx, by] = middle(box);
    const along = sign * (vertical ? by - y : bx - x);
    const aside = Math.abs(vertical ? bx - x : by - y);
    if (along < 1) continue;
    const far = along + 2 * aside;
    if (far < least) {
      least = far;
      best = box;
    }
  }
  return best;
}
