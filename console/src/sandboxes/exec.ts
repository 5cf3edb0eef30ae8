// One command in a sandbox: its output while it runs, then how it ended.
import { request } from "../api/http";
import { readSse } from "../api/sse";
import type { ExecEnd } from "./types";

export interface OutputPiece {
  stream: "out" | "err";
  text: string;
}

/** What is typed is a shell's line: the box has one. Aborting `signal` ends the command. */
export async function runLine(
  sandbox: string,
  line: string,
  onOutput: (piece: OutputPiece) => void,
  signal: AbortSignal,
): Promise<ExecEnd> {
  const response = await request(`/v1/sandboxes/${encodeURIComponent(sandbox)}/exec`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code: line, language: "bash", stream: true }),
    signal,
  });
  if (!response.body) throw new Error("the answer has no body");
  for await (const { event, data } of readSse(response.body)) {
    if (event === "output") onOutput(JSON.parse(data) as OutputPiece);
    if (event === "end") return JSON.parse(data) as ExecEnd;
  }
  throw new Error("the answer ended before the command did");
}

/** Keeps the newest output: a browser slows down long before a sandbox does. */
export function appendOutput(pieces: OutputPiece[], next: OutputPiece, charsMax: number): OutputPiece[] {
  const last = pieces[pieces.length - 1];
  const out = last?.stream === next.stream
    ? [...pieces.slice(0, -1), { stream: last.stream, text: last.text + next.text }]
    : [...pieces, next];
  let chars = out.reduce((sum, piece) => sum + piece.text.length, 0);
  while (out.length > 1 && chars - out[0]!.text.length >= charsMax) chars -= out.shift()!.text.length;
  if (chars > charsMax) out[0] = { ...out[0]!, text: out[0]!.text.slice(chars - charsMax) };
  return out;
}
