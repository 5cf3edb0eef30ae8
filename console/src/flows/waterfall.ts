// The trace of a run as rows of bars: pure. Rows are steps, those within a step below it; the window
// is the stretch of time that is shown.
import { parentOf, type Fold, type StepSpan, type StepTrace } from "./fold";

export interface Row {
  trace: StepTrace;
  depth: number;
  begin_ms: number;
}

export interface Window {
  from_ms: number;
  to_ms: number;
}

const NARROWEST_MS = 5;

/** In the order steps began, each followed by what is within it. */
export function rowsOf(fold: Pick<Fold, "steps">): Row[] {
  const children = new Map<string | null, Row[]>();
  for (const trace of fold.steps.values()) {
    const begin_ms = trace.spans[0]?.from_ms;
    if (begin_ms === undefined) continue;
    let parent = parentOf(trace.path);
    while (parent !== null && !fold.steps.get(parent)?.spans.length) parent = parentOf(parent);
    const list = children.get(parent);
    const row = { trace, depth: 0, begin_ms };
    if (list) list.push(row);
    else children.set(parent, [row]);
  }
  const out: Row[] = [];
  const walk = (parent: string | null, depth: number) => {
    const list = children.get(parent) ?? [];
    list.sort((a, b) => a.begin_ms - b.begin_ms); // stable: events come in order
    for (const row of list) {
      row.depth = depth;
      out.push(row);
      walk(row.trace.path, depth + 1);
    }
  };
  walk(null, 0);
  return out;
}

export function wholeWindow(begin_ms: number, end_ms: number): Window {
  return { from_ms: begin_ms, to_ms: Math.max(end_ms, begin_ms + NARROWEST_MS) };
}

/** `factor` < 1 shows less time; the moment at `share` of the window stays where it is. */
export function zoom(window: Window, whole: Window, factor: number, share = 0.5): Window {
  const wide = whole.to_ms - whole.from_ms;
  const span = Math.min(wide, Math.max(NARROWEST_MS, (window.to_ms - window.from_ms) * factor));
  const fixed = window.from_ms + (window.to_ms - window.from_ms) * share;
  return clamp({ from_ms: fixed - span * share, to_ms: fixed + span * (1 - share) }, whole);
}

export function pan(window: Window, whole: Window, share: number): Window {
  const by = (window.to_ms - window.from_ms) * share;
  return clamp({ from_ms: window.from_ms + by, to_ms: window.to_ms + by }, whole);
}

function clamp(window: Window, whole: Window): Window {
  const span = window.to_ms - window.from_ms;
  const from_ms = Math.max(whole.from_ms, Math.min(window.from_ms, whole.to_ms - span));
  return { from_ms, to_ms: from_ms + span };
}

/** A span as percentages of the window; null outside it. */
export function barOf(span: StepSpan, window: Window, now_ms: number): { left: number; width: number } | null {
  const wide = window.to_ms - window.from_ms;
  const end = span.to_ms ?? now_ms;
  if (end < window.from_ms || span.from_ms > window.to_ms) return null;
  const from = Math.max(span.from_ms, window.from_ms);
  const to = Math.min(Math.max(end, from), window.to_ms);
  return { left: (100 * (from - window.from_ms)) / wide, width: (100 * (to - from)) / wide };
}

/** Round moments for the axis, from the window's whole beginning. */
export function marksOf(window: Window, whole: Window, count: number): { at: number; ms: number }[] {
  const wide = window.to_ms - window.from_ms;
  const rough = wide / count;
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 18e5, 36e5, 108e5, 216e5, 432e5, 864e5];
  const step = steps.find((each) => each >= rough) ?? Math.ceil(rough / 864e5) * 864e5;
  const out = [];
  for (let ms = Math.ceil((window.from_ms - whole.from_ms) / step) * step; ms <= window.to_ms - whole.from_ms; ms += step) {
    out.push({ at: (100 * (whole.from_ms + ms - window.from_ms)) / wide, ms });
  }
  return out;
}
