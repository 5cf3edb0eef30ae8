import { describe, expect, test } from "vitest";
import { decodeText, encodeName } from "../src/sandboxes/FilesView";
import { applyLogEvent, commandLine, stripControls, type LogEntry } from "../src/sandboxes/logs";

describe("a box's log", () => {
  const after = (...events: [string, object][]) =>
    events.reduce<LogEntry[]>((entries, [event, data]) => applyLogEvent(entries, { event, data: JSON.stringify(data) }), []);

  test("commands that run side by side keep their own output", () => {
    const entries = after(
      ["start", { exec: 1, argv: ["a"], started_at_ms: 5 }],
      ["start", { exec: 2, argv: ["b"] }],
      ["output", { exec: 1, stream: "out", text: "one" }],
      ["output", { exec: 2, stream: "err", text: "two" }],
      ["output", { exec: 1, stream: "out", text: " more" }],
      ["end", { exec: 2, reason: "exited", exit_code: 3 }],
      ["output", { exec: 9, stream: "out", text: "of a command nobody knows" }],
    );
    expect(entries.map((entry) => entry.pieces)).toEqual([[{ stream: "out", text: "one more" }], [{ stream: "err", text: "two" }]]);
    expect([entries[0]!.end, entries[1]!.end!.exit_code, entries[0]!.started]).toEqual([null, 3, 5]);
  });

  test("a terminal's colours are left out, its text is not", () => {
    expect(stripControls("\x1b[1;31mred\x1b[0m\r\nnext\x1b]0;title\x07\ttab\x07")).toBe("red\nnext\ttab");
  });

  test("a command is shown as a shell would take it", () => {
    expect(commandLine(["sh", "-c", "echo 'a b'"])).toBe(`sh -c 'echo '\\''a b'\\'''`);
  });
});

test("a file's name in an URL, and what is text", () => {
  expect(encodeName("a%20b", "up #1?.bin")).toBe("a%20b/up%20%231%3F.bin");
  expect(encodeName("", "x")).toBe("x");
  const bytes = (text: string) => new TextEncoder().encode(text);
  expect(decodeText(bytes("文"), false)).toBe("文");
  expect(decodeText(bytes("文").slice(0, 2), true)).toBe(""); // cut in the middle of a character
  expect(decodeText(bytes("文").slice(0, 2), false)).toBeNull();
  expect(decodeText(new Uint8Array([65, 0, 66]), false)).toBeNull();
});
