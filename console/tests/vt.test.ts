import { describe, expect, test } from "vitest";
import { cssColour, keyBytes, Vt } from "../src/sandboxes/vt";

function shown(text: string, columns = 10, height = 4): Vt {
  const vt = new Vt(columns, height);
  vt.write(text);
  return vt;
}
const lines = (vt: Vt) => vt.rows.map((_, y) => vt.text(y));

describe("the terminal's screen", () => {
  test("wraps, feeds lines and keeps what scrolls away", () => {
    const vt = shown("0123456789ab\r\n2\r\n3\r\n4\r\n5");
    expect(lines(vt)).toEqual(["2", "3", "4", "5"]);
    expect(vt.scrollback.map((row) => row.map((cell) => cell.text).join("").trimEnd())).toEqual(["0123456789", "ab"]);
    // A full row wraps only with the next character.
    expect(lines(shown("0123456789\r\nx"))).toEqual(["0123456789", "x", "", ""]);
  });

  test("moves, erases, inserts and deletes", () => {
    expect(lines(shown("abc\r\ndef\x1b[1;2HX\x1b[K\x1b[2;3H\x1b[1K"))).toEqual(["aX", "", "", ""]);
    expect(lines(shown("abcdef\x1b[3G\x1b[2P\x1b[1@"))).toEqual(["ab ef", "", "", ""]);
    expect(lines(shown("1\r\n2\r\n3\r\n4\x1b[2;1H\x1b[L"))).toEqual(["1", "", "2", "3"]);
    expect(lines(shown("1\r\n2\r\n3\r\n4\x1b[2;1H\x1b[M"))).toEqual(["1", "3", "4", ""]);
    expect(lines(shown("1\r\n2\x1b[2J\x1b[Hx"))).toEqual(["x", "", "", ""]);
  });

  test("a scroll region holds the rest still, and lines of it are not kept", () => {
    const vt = shown("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\nx\x1b[r");
    expect(lines(vt)).toEqual(["1", "3", "x", "4"]);
    expect(vt.scrollback).toHaveLength(0);
  });

  test("the other screen comes and goes without a trace", () => {
    const vt = shown("shell\x1b[?1049h\x1b[2J\x1b[Heditor");
    expect(lines(vt)[0]).toBe("editor");
    vt.write("\x1b[?1049l!");
    expect(lines(vt)[0]).toBe("shell!");
  });

  test("colours and faces", () => {
    const pen = (text: string) => shown(`${text}x`).rows[0]![0]!.pen;
    expect(pen("\x1b[1;31;44m")).toMatchObject({ fg: 1, bg: 4, bold: true });
    expect(pen("\x1b[38;5;208m").fg).toBe(208);
    expect(pen("\x1b[38;2;1;2;3m").fg).toBe(0x1010203);
    expect(pen("\x1b[7;93m\x1b[0m")).toMatchObject({ fg: null, inverse: false });
    expect([cssColour(3), cssColour(16), cssColour(231), cssColour(0x1ff0080)]).toEqual(["var(--vt-3)", "rgb(0 0 0)", "rgb(255 255 255)", "#ff0080"]);
  });

  test("wide, combining and line-drawing characters", () => {
    const vt = shown("文x\r\ne\u0301!\r\n\x1b(0lqk\x1b(Bq");
    expect(vt.rows[0]!.slice(0, 3).map((cell) => cell.text)).toEqual(["文", "", "x"]);
    expect(lines(vt).slice(1, 3)).toEqual(["e\u0301!", "┌─┐q"]);
    expect(lines(shown("123456789文"))).toEqual(["123456789", "文", "", ""]);
  });

  test("answers questions and skips what it does not know", () => {
    const answers: string[] = [];
    const vt = new Vt(10, 4);
    vt.reply = (text) => answers.push(text);
    vt.write("ab\x1b[6n\x1b[c\x1b]0;title\x07\x1bP1$q\x1b\\\x1b[?9999h\x1b[5 qc");
    expect(answers).toEqual(["\x1b[1;3R", "\x1b[?62;22c"]);
    expect(vt.text(0)).toBe("abc");
  });

  test("another size keeps the cursor's row", () => {
    const vt = shown("1\r\n2\r\n3\r\n4");
    vt.resize(6, 2);
    expect(lines(vt)).toEqual(["3", "4"]);
    expect([vt.x, vt.y, vt.rows[0]!.length]).toEqual([1, 1, 6]);
    vt.resize(12, 5);
    vt.write("!");
    expect(lines(vt)).toEqual(["3", "4!", "", "", ""]);
  });

  test("no input breaks it", () => {
    let seed = 7;
    const next = (n: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
    const parts = ["\x1b[", "\x1b]", "\x1b(", "\x1b", ";", "?", "5", "99999", "H", "J", "K", "L", "M", "P", "@", "r", "m", "h", "l", "1049", "A", "文", "x", "\n", "\r", "\b", "\t", "c", "S", "T", "\x07"];
    const whole = (vt: Vt) => vt.rows.length === vt.height && vt.rows.every((row) => row.length === vt.columns && !row.includes(undefined!))
      && vt.x >= 0 && vt.x < vt.columns && vt.y >= 0 && vt.y < vt.height;
    for (let round = 0; round < 200; round++) {
      const vt = new Vt(1 + next(12), 1 + next(6));
      for (let i = 0; i < 100; i++) {
        vt.write(parts[next(parts.length)]!);
        if (next(40) === 0) vt.resize(1 + next(12), 1 + next(6));
        if (!whole(vt)) throw new Error(`round ${round}, part ${i}`);
      }
    }
  });
});

test("keys become what programs expect", () => {
  const key = (name: string, more = {}) => keyBytes({ key: name, ctrlKey: false, altKey: false, metaKey: false, shiftKey: false, ...more }, false);
  expect(key("ArrowUp")).toBe("\x1b[A");
  expect(keyBytes({ key: "ArrowUp", ctrlKey: false, altKey: false, metaKey: false, shiftKey: false }, true)).toBe("\x1bOA");
  expect(key("ArrowLeft", { ctrlKey: true })).toBe("\x1b[1;5D");
  expect(key("c", { ctrlKey: true })).toBe("\x03");
  expect(key("Enter")).toBe("\r");
  expect(key("b", { altKey: true })).toBe("\x1bb");
  expect([key("a"), key("Tab", { shiftKey: true }), key("c", { ctrlKey: true, shiftKey: true }), key("r", { metaKey: true })]).toEqual([null, null, null, null]);
});
