// Lines that differ between two texts: the shortest way from one to the other (Myers 1986, an O(ND)
// difference algorithm), bounded; texts that differ more are shown as all old, then all new.

export interface DiffLine {
  how: "same" | "old" | "new";
  text: string;
  line: number; // in its own text, from 1
}

const EDITS_MAX = 2000;

export function diffLines(before: string, after: string): DiffLine[] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const out: DiffLine[] = a.slice(0, head).map((text, n) => ({ how: "same", text, line: n + 1 }));
  out.push(...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), head));
  for (let n = b.length - tail; n < b.length; n += 1) out.push({ how: "same", text: b[n]!, line: n + 1 });
  return out;
}

function middle(a: string[], b: string[], base: number): DiffLine[] {
  const old = (n: number): DiffLine => ({ how: "old", text: a[n]!, line: base + n + 1 });
  const made = (n: number): DiffLine => ({ how: "new", text: b[n]!, line: base + n + 1 });
  const trail: Int32Array[] = [];
  const max = Math.min(a.length + b.length, EDITS_MAX);
  const size = 2 * max + 2;
  let far = new Int32Array(size + 1);
  for (let edits = 0; edits <= max; edits += 1) {
    trail.push(far.slice());
    for (let k = -edits; k <= edits; k += 2) {
      const at = k + max;
      let x = k === -edits || (k !== edits && far[at - 1]! < far[at + 1]!) ? far[at + 1]! : far[at - 1]! + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      far[at] = x;
      if (x >= a.length && x - k >= b.length) return back(trail, max, a.length, b.length, { old, made, same: (n) => ({ how: "same", text: b[n]!, line: base + n + 1 }) });
    }
  }
  return [...a.map((_, n) => old(n)), ...b.map((_, n) => made(n))];
}

interface Makers {
  old: (n: number) => DiffLine;
  made: (n: number) => DiffLine;
  same: (n: number) => DiffLine;
}

function back(trail: Int32Array[], max: number, x: number, y: number, make: Makers): DiffLine[] {
  const out: DiffLine[] = [];
  for (let edits = trail.length - 1; edits >= 0 && (x > 0 || y > 0); edits -= 1) {
    const far = trail[edits]!;
    const k = x - y;
    const from = k === -edits || (k !== edits && far[k + max - 1]! < far[k + max + 1]!) ? k + 1 : k - 1;
    const px = edits === 0 ? 0 : far[from + max]!;
    const py = edits === 0 ? 0 : px - from;
    while (x > px && y > py) {
      x -= 1;
      y -= 1;
      out.push(make.same(y));
    }
    if (edits === 0) break;
    if (x > px) out.push(make.old((x -= 1)));
    else if (y > py) out.push(make.made((y -= 1)));
  }
  return out.reverse();
}

/** Only what changed and `context` lines around it; null stands for lines left out. */
export function excerpt(lines: DiffLine[], context = 3): (DiffLine | null)[] {
  const near = new Uint8Array(lines.length);
  lines.forEach((line, n) => {
    if (line.how !== "same") near.fill(1, Math.max(0, n - context), n + context + 1);
  });
  const out: (DiffLine | null)[] = [];
  lines.forEach((line, n) => {
    if (near[n]) out.push(line);
    else if (out.length === 0 || out[out.length - 1] !== null) out.push(null);
  });
  return out;
}
