import { expect, test } from "vitest";
import { appendOutput, type OutputPiece } from "../src/sandboxes/exec";

const joined = (pieces: OutputPiece[]) => pieces.map((piece) => piece.text).join("");

test("pieces of one stream are joined, of two kept apart and in order", () => {
  let pieces: OutputPiece[] = [];
  for (const [stream, text] of [["out", "a"], ["out", "b"], ["err", "c"], ["out", "d"]] as const) {
    pieces = appendOutput(pieces, { stream, text }, 100);
  }
  expect(pieces).toEqual([
    { stream: "out", text: "ab" },
    { stream: "err", text: "c" },
    { stream: "out", text: "d" },
  ]);
});

test("the newest output is kept when there is too much", () => {
  let pieces: OutputPiece[] = [];
  let all = "";
  for (let i = 0; i < 50; i += 1) {
    const next: OutputPiece = { stream: i % 3 ? "out" : "err", text: String(i).repeat(i % 7) };
    all += next.text;
    pieces = appendOutput(pieces, next, 20);
    expect(joined(pieces)).toBe(all.slice(-20));
  }
});
