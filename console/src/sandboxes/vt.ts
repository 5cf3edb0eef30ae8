// The screen of a terminal: bytes a program wrote (already decoded) become rows of cells. The part of
// ECMA-48 and xterm that shells, editors and pagers use; what is not known is skipped whole. Pure:
// no DOM, so that tests feed it text and read rows.

export interface Pen {
  fg: number | null; // 0-255, or 0x1000000 + RGB
  bg: number | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
}

export interface Cell {
  text: string; // "" is the right half of a wide character
  pen: Pen;
}

export type Row = Cell[];

const PLAIN: Pen = { fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false };
const SCROLLBACK_MAX = 1000;
const LINE_DRAWING = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"; // of "`" to "~"

const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const COMBINING = /^[\p{Mn}\p{Me}\u200b-\u200f\ufe0f]/u;

type State = "ground" | "escape" | "csi" | "string" | "charset";

export class Vt {
  rows: Row[];
  scrollback: Row[] = [];
  x = 0;
  y = 0;
  cursorShown = true;
  cursorKeys = false; // application mode: arrows are ESC O
  bracketedPaste = false;
  /** What the terminal answers to a question of the program's. */
  reply: (text: string) => void = () => undefined;

  private state: State = "ground";
  private sequence = "";
  private pen: Pen = PLAIN;
  private top = 0;
  private bottom: number;
  private wrapNext = false;
  private autoWrap = true;
  private insert = false;
  private drawing = false;
  private saved = { x: 0, y: 0, pen: PLAIN };
  private main: { rows: Row[]; x: number; y: number } | null = null; // while the other screen shows

  constructor(
    public columns: number,
    public height: number,
  ) {
    this.rows = Array.from({ length: height }, () => this.blank());
    this.bottom = height - 1;
  }

  private blank(): Row {
    const pen = this.pen?.bg == null ? PLAIN : { ...PLAIN, bg: this.pen.bg };
    return Array.from({ length: this.columns }, () => ({ text: " ", pen }));
  }

  resize(columns: number, height: number): void {
    if (columns === this.columns && height === this.height) return;
    const fit = (row: Row): Row =>
      row.length >= columns ? row.slice(0, columns) : [...row, ...Array.from({ length: columns - row.length }, () => ({ text: " ", pen: PLAIN }))];
    this.columns = columns;
    // The cursor's row stays; what no longer fits above it scrolls away.
    const cut = Math.max(0, this.y - height + 1);
    if (!this.main) this.keep(this.rows.slice(0, cut));
    this.rows = this.rows.slice(cut, cut + height).map(fit);
    while (this.rows.length < height) this.rows.push(this.blank());
    if (this.main) {
      this.main.rows = this.main.rows.slice(-height).map(fit);
      while (this.main.rows.length < height) this.main.rows.push(this.blank());
    }
    this.height = height;
    this.y = Math.min(this.y - cut, height - 1);
    this.x = Math.min(this.x, columns - 1);
    this.top = 0;
    this.bottom = height - 1;
    this.wrapNext = false;
  }

  write(text: string): void {
    for (const char of text) this.take(char);
  }

  private take(char: string): void {
    if (this.state === "ground") {
      if (char < " " || char === "\x7f") this.control(char);
      else this.put(char);
      return;
    }
    if (this.state === "string") {
      // Titles and other strings end with BEL or ESC \.
      if (char === "\x07" || char === "\x9c" || (char === "\\" && this.sequence.endsWith("\x1b"))) this.state = "ground";
      else this.sequence = char;
      return;
    }
    if (char === "\x18" || char === "\x1a") {
      this.state = "ground";
    } else if (char < " ") {
      this.control(char);
    } else if (this.state === "escape") {
      this.escape(char);
    } else if (this.state === "charset") {
      if (this.sequence === "(") this.drawing = char === "0";
      this.state = "ground";
    } else if (char >= "@" && char <= "~") {
      this.state = "ground";
      this.csi(char, this.sequence);
    } else if (this.sequence.length < 256) {
      this.sequence += char;
    }
  }

  private control(char: string): void {
    switch (char) {
      case "\x1b":
        this.state = "escape";
        this.sequence = "";
        break;
      case "\b":
        this.x = Math.max(0, this.x - 1);
        this.wrapNext = false;
        break;
      case "\t":
        this.x = Math.min(this.columns - 1, (this.x & ~7) + 8);
        break;
      case "\n":
      case "\v":
      case "\f":
        this.lineFeed();
        break;
      case "\r":
        this.x = 0;
        this.wrapNext = false;
        break;
    }
  }

  private put(char: string): void {
    const shown = this.drawing && char >= "`" && char <= "~" ? LINE_DRAWING[char.charCodeAt(0) - 0x60]! : char;
    if (COMBINING.test(shown)) {
      const before = this.rows[this.y]![Math.max(0, this.wrapNext ? this.x : this.x - 1)]!;
      if (before.text.length < 16) this.rows[this.y]![Math.max(0, this.wrapNext ? this.x : this.x - 1)] = { ...before, text: before.text + shown };
      return;
    }
    const width = WIDE.test(shown) ? 2 : 1;
    if (this.wrapNext || (width === 2 && this.x === this.columns - 1 && this.autoWrap)) {
      this.x = 0;
      this.lineFeed();
    }
    const row = this.rows[this.y]!;
    if (this.insert) {
      for (let i = 0; i < width; i++) row.splice(this.x, 0, { text: " ", pen: this.pen });
      row.length = this.columns;
    }
    row[this.x] = { text: shown, pen: this.pen };
    if (width === 2 && this.x + 1 < this.columns) row[this.x + 1] = { text: "", pen: this.pen };
    this.wrapNext = this.autoWrap && this.x + width >= this.columns;
    this.x = Math.min(this.columns - 1, this.x + width);
  }

  private keep(rows: Row[]): void {
    this.scrollback.push(...rows);
    if (this.scrollback.length > SCROLLBACK_MAX) this.scrollback.splice(0, this.scrollback.length - SCROLLBACK_MAX);
  }

  private lineFeed(): void {
    this.wrapNext = false;
    if (this.y === this.bottom) this.scrollUp(1);
    else this.y = Math.min(this.height - 1, this.y + 1);
  }

  private scrollUp(count: number): void {
    for (let i = 0; i < Math.min(count, this.bottom - this.top + 1); i++) {
      const [gone] = this.rows.splice(this.top, 1);
      if (this.top === 0 && !this.main) this.keep([gone!]);
      this.rows.splice(this.bottom, 0, this.blank());
    }
  }

  private scrollDown(count: number): void {
    for (let i = 0; i < Math.min(count, this.bottom - this.top + 1); i++) {
      this.rows.splice(this.bottom, 1);
      this.rows.splice(this.top, 0, this.blank());
    }
  }

  private escape(char: string): void {
    this.state = "ground";
    switch (char) {
      case "[":
        this.state = "csi";
        this.sequence = "";
        break;
      case "]":
      case "P":
      case "^":
      case "_":
      case "X":
        this.state = "string";
        this.sequence = "";
        break;
      case "(":
      case ")":
      case "*":
      case "+":
      case "#":
      case "%":
        this.state = "charset";
        this.sequence = char;
        break;
      case "7":
        this.saved = { x: this.x, y: this.y, pen: this.pen };
        break;
      case "8":
        this.restore();
        break;
      case "D":
        this.lineFeed();
        break;
      case "E":
        this.x = 0;
        this.lineFeed();
        break;
      case "M":
        if (this.y === this.top) this.scrollDown(1);
        else this.y = Math.max(0, this.y - 1);
        break;
      case "c":
        Object.assign(this, new Vt(this.columns, this.height), { reply: this.reply, scrollback: this.scrollback });
        break;
    }
  }

  private restore(): void {
    this.moveTo(this.saved.x, this.saved.y);
    this.pen = this.saved.pen;
  }

  private moveTo(x: number, y: number): void {
    this.x = Math.max(0, Math.min(this.columns - 1, x));
    this.y = Math.max(0, Math.min(this.height - 1, y));
    this.wrapNext = false;
  }

  private csi(final: string, text: string): void {
    const mark = /^[<=>?]/.test(text) ? text[0]! : "";
    const numbers = text.slice(mark.length).split(/[;:]/).map((part) => Number.parseInt(part, 10) || 0);
    const n = Math.min(10_000, numbers[0] || 1);
    if (/[ !"$'*]$/.test(text)) return; // with an intermediate: cursor shapes and such
    if (mark === "?" && (final === "h" || final === "l")) return numbers.forEach((mode) => this.privateMode(mode, final === "h"));
    if (mark === ">" && final === "c") return this.reply("\x1b[>0;10;0c");
    if (mark !== "") return;
    const row = this.rows[this.y]!;
    switch (final) {
      case "A": return this.moveTo(this.x, Math.max(this.y >= this.top ? this.top : 0, this.y - n));
      case "B":
      case "e": return this.moveTo(this.x, Math.min(this.y <= this.bottom ? this.bottom : this.height - 1, this.y + n));
      case "C":
      case "a": return this.moveTo(this.x + n, this.y);
      case "D": return this.moveTo(this.x - n, this.y);
      case "E": return this.moveTo(0, this.y + n);
      case "F": return this.moveTo(0, this.y - n);
      case "G":
      case "`": return this.moveTo(n - 1, this.y);
      case "d": return this.moveTo(this.x, n - 1);
      case "H":
      case "f": return this.moveTo((numbers[1] || 1) - 1, (numbers[0] || 1) - 1);
      case "J": return this.eraseScreen(numbers[0]!);
      case "K": return this.eraseRow(this.y, numbers[0] === 0 ? this.x : 0, numbers[0] === 1 ? this.x + 1 : this.columns);
      case "X": return this.eraseRow(this.y, this.x, Math.min(this.columns, this.x + n));
      case "@":
        row.splice(this.x, 0, ...this.blank().slice(0, n));
        row.length = this.columns;
        return;
      case "P":
        row.splice(this.x, n);
        row.push(...this.blank().slice(0, this.columns - row.length));
        return;
      case "L":
      case "M":
        return this.withTop(this.y, () => (final === "L" ? this.scrollDown(n) : this.scrollUp(n)));
      case "S": return this.scrollUp(n);
      case "T": return this.scrollDown(n);
      case "h":
      case "l":
        if (numbers[0] === 4) this.insert = final === "h";
        return;
      case "m": return this.rendition(numbers);
      case "r":
        this.top = Math.max(0, (numbers[0] || 1) - 1);
        this.bottom = Math.min(this.height, numbers[1] || this.height) - 1;
        if (this.top >= this.bottom) [this.top, this.bottom] = [0, this.height - 1];
        return this.moveTo(0, 0);
      case "s":
        this.saved = { x: this.x, y: this.y, pen: this.pen };
        return;
      case "u": return this.restore();
      case "n":
        if (numbers[0] === 5) this.reply("\x1b[0n");
        if (numbers[0] === 6) this.reply(`\x1b[${this.y + 1};${this.x + 1}R`);
        return;
      case "c": return this.reply("\x1b[?62;22c");
    }
  }

  /** Inserted and deleted lines move what is below the cursor only; they are not kept. */
  private withTop(top: number, act: () => void): void {
    if (top < this.top || top > this.bottom) return;
    const [before, main] = [this.top, this.main];
    this.top = top;
    this.main ??= { rows: this.rows, x: 0, y: 0 };
    act();
    this.top = before;
    this.main = main;
  }

  private eraseRow(y: number, from: number, to: number): void {
    const blank = this.blank();
    for (let x = from; x < to; x++) this.rows[y]![x] = blank[x]!;
    this.wrapNext = false;
  }

  private eraseScreen(what: number): void {
    const [from, to] = what === 0 ? [this.y + 1, this.height] : what === 1 ? [0, this.y] : [0, this.height];
    if (what === 0) this.eraseRow(this.y, this.x, this.columns);
    if (what === 1) this.eraseRow(this.y, 0, this.x + 1);
    if (what === 3) this.scrollback = [];
    for (let y = from; y < to; y++) this.rows[y] = this.blank();
  }

  private privateMode(mode: number, on: boolean): void {
    if (mode === 1) this.cursorKeys = on;
    else if (mode === 7) this.autoWrap = on;
    else if (mode === 25) this.cursorShown = on;
    else if (mode === 2004) this.bracketedPaste = on;
    else if (mode === 47 || mode === 1047 || mode === 1049) this.otherScreen(on);
  }

  private otherScreen(on: boolean): void {
    if (on && !this.main) {
      this.main = { rows: this.rows, x: this.x, y: this.y };
      this.rows = Array.from({ length: this.height }, () => this.blank());
    } else if (!on && this.main) {
      const { rows, x, y } = this.main;
      this.main = null;
      this.rows = rows;
      this.moveTo(x, y);
    }
    this.top = 0;
    this.bottom = this.height - 1;
  }

  private rendition(numbers: number[]): void {
    let pen: Pen = { ...this.pen };
    for (let i = 0; i < numbers.length; i++) {
      const n = numbers[i]!;
      if (n === 0) pen = { ...PLAIN };
      else if (n === 1) pen.bold = true;
      else if (n === 2) pen.dim = true;
      else if (n === 3) pen.italic = true;
      else if (n === 4) pen.underline = true;
      else if (n === 7) pen.inverse = true;
      else if (n === 22) pen.bold = pen.dim = false;
      else if (n === 23) pen.italic = false;
      else if (n === 24) pen.underline = false;
      else if (n === 27) pen.inverse = false;
      else if (n >= 30 && n <= 37) pen.fg = n - 30;
      else if (n >= 90 && n <= 97) pen.fg = n - 90 + 8;
      else if (n === 39) pen.fg = null;
      else if (n >= 40 && n <= 47) pen.bg = n - 40;
      else if (n >= 100 && n <= 107) pen.bg = n - 100 + 8;
      else if (n === 49) pen.bg = null;
      else if (n === 38 || n === 48) {
        let colour: number | null = null;
        if (numbers[i + 1] === 5) {
          colour = (numbers[i + 2] ?? 0) & 255;
          i += 2;
        } else if (numbers[i + 1] === 2) {
          colour = 0x1000000 + (((numbers[i + 2] ?? 0) & 255) << 16) + (((numbers[i + 3] ?? 0) & 255) << 8) + ((numbers[i + 4] ?? 0) & 255);
          i += 4;
        }
        if (n === 38) pen.fg = colour;
        else pen.bg = colour;
      }
    }
    this.pen = pen;
  }

  /** The text of a row, blanks at its end left out. */
  text(y: number): string {
    return this.rows[y]!.map((cell) => cell.text).join("").trimEnd();
  }
}

/** A palette number or RGB as CSS; the first 16 are the theme's. */
export function cssColour(colour: number): string {
  if (colour >= 0x1000000) return `#${(colour - 0x1000000).toString(16).padStart(6, "0")}`;
  if (colour < 16) return `var(--vt-${colour})`;
  if (colour >= 232) return `rgb(${Array(3).fill(8 + (colour - 232) * 10).join(" ")})`;
  const level = (n: number) => (n === 0 ? 0 : 55 + n * 40);
  const at = colour - 16;
  return `rgb(${level(Math.floor(at / 36))} ${level(Math.floor(at / 6) % 6)} ${level(at % 6)})`;
}

const KEYS: Record<string, string> = {
  Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", Insert: "\x1b[2~", Delete: "\x1b[3~", PageUp: "\x1b[5~", PageDown: "\x1b[6~",
  F1: "\x1bOP", F2: "\x1bOQ", F3: "\x1bOR", F4: "\x1bOS", F5: "\x1b[15~", F6: "\x1b[17~", F7: "\x1b[18~", F8: "\x1b[19~", F9: "\x1b[20~", F10: "\x1b[21~", F12: "\x1b[24~",
};
const ARROWS: Record<string, string> = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", Home: "H", End: "F" };

/** What a key sends; null when it is the browser's, or text that an input event brings. */
export function keyBytes(event: { key: string; ctrlKey: boolean; altKey: boolean; metaKey: boolean; shiftKey: boolean }, cursorKeys: boolean): string | null {
  if (event.metaKey || (event.key === "Tab" && event.shiftKey)) return null;
  const arrow = ARROWS[event.key];
  if (arrow) {
    const modifier = 1 + (event.shiftKey ? 1 : 0) + (event.altKey ? 2 : 0) + (event.ctrlKey ? 4 : 0);
    if (modifier > 1) return `\x1b[1;${modifier}${arrow}`;
    return `\x1b${cursorKeys ? "O" : "["}${arrow}`;
  }
  if (KEYS[event.key]) return (event.altKey ? "\x1b" : "") + KEYS[event.key]!;
  if (event.key.length !== 1) return null;
  if (event.ctrlKey && event.shiftKey) return null; // copy, paste: the browser's
  if (event.ctrlKey) {
    const code = event.key.toUpperCase().charCodeAt(0);
    if (event.key === " ") return "\0";
    return code >= 0x40 && code < 0x60 ? String.fromCharCode(code - 0x40) : null;
  }
  return event.altKey ? `\x1b${event.key}` : null;
}
