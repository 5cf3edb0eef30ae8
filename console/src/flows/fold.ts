// What a run's events say of its steps over time: attempts, waits, cost. The state that the server
// tells is the truth about now; this is the way there. Pure; events come in order of place.
import type { Fault, GraphNode, Json, RunEvent, RunView, ScopeView, StepStatus, StepView } from "./types";

export type SpanKind = "run" | "failed" | "wait" | "backoff" | "open";

export interface StepSpan {
  kind: SpanKind;
  from_ms: number;
  to_ms: number | null; // null: goes on
  attempt?: number;
  error?: Fault;
  name?: string;
}

export interface StepTrace {
  path: string;
  status: StepStatus;
  spans: StepSpan[];
  tokens: number;
  cost_usd: number;
  resets: number;
  output?: Json;
  error?: Fault;
  child?: string;
}

/** "each[3].fit" is a round of "fit". */
export function idOf(path: string): string {
  const cut = path.lastIndexOf("].");
  return (cut < 0 ? path : path.slice(cut + 2)).replace(/~undo$/, "");
}

/** The step that holds the one at `path`; null at the top. */
export function parentOf(path: string): string | null {
  const cut = path.lastIndexOf("].");
  if (cut < 0) return null;
  let depth = 0;
  for (let at = cut; at >= 0; at -= 1) {
    if (path[at] === "]") depth += 1;
    if (path[at] === "[") depth -= 1;
    if (depth === 0) return path.slice(0, at);
  }
  return null;
}

export class Fold {
  readonly steps = new Map<string, StepTrace>();
  begun_ms = 0;
  ended_ms: number | null = null;
  last_ms = 0;

  add(event: RunEvent): void {
    this.begun_ms ||= event.at_ms;
    this.last_ms = Math.max(this.last_ms, event.at_ms);
    if (event.event === "run_completed" || event.event === "run_failed" || event.event === "run_cancelled") {
      this.ended_ms = event.at_ms;
      for (const step of this.steps.values()) this.end(step, event.at_ms, "cancelled");
      return;
    }
    if (event.event === "run_resumed" || event.event === "step_reset") this.ended_ms = null;
    if (event.step === undefined) return;
    const step = this.step(event.step);
    switch (event.event) {
      case "step_started":
        this.begin(step, { kind: "run", from_ms: event.at_ms, to_ms: null, attempt: event.attempt ?? 1 }, "running");
        break;
      case "step_finished":
        if (event.value !== undefined) step.output = event.value;
        if (!step.spans.some((span) => span.to_ms === null)) step.spans.push({ kind: "run", from_ms: event.at_ms, to_ms: null }); // done as it began
        delete step.error;
        this.end(step, event.at_ms, "done");
        if (step.status !== "done") step.status = "done";
        break;
      case "step_failed": {
        const span = step.spans[step.spans.length - 1];
        if (event.error) step.error = event.error;
        if (span && span.to_ms === null) {
          if (span.kind === "run") span.kind = "failed";
          if (event.error) span.error = event.error;
        } else if (event.error) {
          step.spans.push({ kind: "failed", from_ms: event.at_ms, to_ms: event.at_ms, error: event.error });
        }
        this.end(step, event.at_ms, "failed");
        step.status = "failed";
        if (event.until_ms) this.begin(step, { kind: "backoff", from_ms: event.at_ms, to_ms: null }, "backoff");
        break;
      }
      case "step_skipped":
        step.status = "skipped";
        break;
      case "step_waiting":
        this.begin(step, { kind: "wait", from_ms: event.at_ms, to_ms: null, ...(event.name ? { name: event.name } : {}) }, "waiting");
        break;
      case "step_child":
        if (event.name) step.child = event.name;
        this.begin(step, { kind: "open", from_ms: event.at_ms, to_ms: null }, "open");
        break;
      case "loop_opened":
      case "scope_opened":
        if (step.status !== "open") this.begin(step, { kind: "open", from_ms: event.at_ms, to_ms: null }, "open");
        break;
      case "step_reset":
        this.end(step, event.at_ms, "pending");
        step.status = "pending";
        step.resets += 1;
        break;
    }
    step.tokens += event.tokens ?? 0;
    step.cost_usd += event.cost_usd ?? 0;
  }

  private step(path: string): StepTrace {
    let step = this.steps.get(path);
    if (!step) this.steps.set(path, (step = { path, status: "pending", spans: [], tokens: 0, cost_usd: 0, resets: 0 }));
    return step;
  }
  private begin(step: StepTrace, span: StepSpan, status: StepStatus): void {
    this.end(step, span.from_ms, status);
    step.spans.push(span);
    step.status = status;
  }
  private end(step: StepTrace, at_ms: number, status: StepStatus): void {
    const span = step.spans[step.spans.length - 1];
    if (!span || span.to_ms !== null) return;
    span.to_ms = at_ms;
    step.status = status;
  }
}

/** Every step of the state by its path. */
export function stepsOf(run: Pick<RunView, "root">): Map<string, StepView> {
  const out = new Map<string, StepView>();
  const walk = (scope: ScopeView, before: string) => {
    for (const step of scope.steps) {
      const path = before + step.id;
      out.set(path, step);
      for (const inner of step.scopes ?? []) walk(inner, `${path}[${inner.key}].`);
    }
  };
  if (run.root) walk(run.root, "");
  return out;
}

/** How a step of the definition stands: once, or in many rounds. */
export interface Stand {
  paths: string[];
  counts: Partial<Record<StepStatus, number>>;
  status: StepStatus; // the one that needs looking at most
}

const URGENT: StepStatus[] = ["failed", "waiting", "backoff", "running", "open", "cancelled", "done", "skipped", "pending"];

/** By id of the definition. `rounds` picks one round of a loop: step id to key. */
export function standsOf(nodes: GraphNode[], state: Map<string, StepView>, past: Map<string, StepTrace>, rounds: Record<string, string>): Map<string, Stand> {
  const out = new Map<string, Stand>(nodes.map((node) => [node.id, { paths: [], counts: {}, status: "pending" }]));
  const shown = (path: string) =>
    Object.entries(rounds).every(([loop, key]) => {
      const at = path.startsWith(`${loop}[`) ? 0 : path.indexOf(`.${loop}[`) + 1;
      if (at === 0 && !path.startsWith(`${loop}[`)) return true;
      return path.startsWith(`${loop}[${key}].`, at);
    });
  const add = (path: string, status: StepStatus) => {
    const stand = out.get(idOf(path));
    if (!stand || path.endsWith("~undo") || !shown(path)) return;
    stand.paths.push(path);
    stand.counts[status] = (stand.counts[status] ?? 0) + 1;
  };
  for (const [path, step] of state) add(path, step.status);
  for (const [path, step] of past) if (!state.has(path)) add(path, step.status);
  for (const stand of out.values()) {
    stand.status = URGENT.find((status) => stand.counts[status]) ?? "pending";
  }
  return out;
}
