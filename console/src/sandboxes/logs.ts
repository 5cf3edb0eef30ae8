// A box's log out of its events.
import type { SseEvent } from "../api/sse";
import { appendOutput, type OutputPiece } from "./exec";
import type { ExecEnd } from "./types";

const ENTRIES_MAX = 64;
const CHARS_PER_ENTRY_MAX = 64 * 1024;

export interface LogEntry {
  id: string;
  argv: string[];
  started: number;
  pieces: OutputPiece[];
  end: ExecEnd | null;
}

type Told = { exec: number; argv?: string[]; started_at_ms?: number } & Partial<OutputPiece> & Partial<ExecEnd>;

/** The entries after `event`. Output of a command whose start is no longer kept is left out. */
export function applyLogEvent(entries: LogEntry[], { event, data }: SseEvent): LogEntry[] {
  const told = JSON.parse(data) as Told;
  const id = String(told.exec);
  if (event === "start") {
    return [...entries, { id, argv: told.argv ?? [], started: told.started_at_ms ?? 0, pieces: [], end: null }].slice(-ENTRIES_MAX);
  }
  return entries.map((entry) => {
    if (entry.id !== id) return entry;
    if (event === "output") {
      return { ...entry, pieces: appendOutput(entry.pieces, { stream: told.stream ?? "out", text: stripControls(told.text ?? "") }, CHARS_PER_ENTRY_MAX) };
    }
    return event === "end" ? { ...entry, end: told as ExecEnd } : entry;
  });
}

/** A terminal's colours and movements, and returns that a line feed follows, say nothing in a log. */
export function stripControls(text: string): string {
  return text
    .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])/g, "")
    .replace(/\r+\n/g, "\n")
    .replace(/[\0-\x08\x0b-\x1f\x7f]/g, "");
}

/** As a shell would take it. */
export function commandLine(argv: string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
