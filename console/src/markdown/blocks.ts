// Block Markdown (the part that models write: paragraphs, headings, fences, lists, quotes, tables)
// to a tree of plain data. An unclosed fence is a fence: answers are drawn while they stream.

export type Align = "left" | "center" | "right" | null;

export type Block =
  | { kind: "paragraph"; text: string }
  | { kind: "heading"; level: number; text: string }
  | { kind: "code"; language: string; text: string }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "list"; ordered: boolean; start: number; items: Block[][] }
  | { kind: "table"; align: Align[]; head: string[]; rows: string[][] }
  | { kind: "rule" };

const DEPTH_MAX = 6;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(\s+|$)/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

class Lines {
  at = 0;
  constructor(readonly all: string[]) {}
  get done() {
    return this.at >= this.all.length;
  }
  peek(ahead = 0): string {
    return this.all[this.at + ahead] ?? "";
  }
  next(): string {
    this.at += 1;
    return this.all[this.at - 1] ?? "";
  }
}

export function parseBlocks(source: string, depth = 0): Block[] {
  const lines = new Lines(source.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"));
  const out: Block[] = [];
  while (!lines.done) {
    if (!lines.peek().trim()) lines.next();
    else out.push(parseBlock(lines, depth));
  }
  return out;
}

function parseBlock(lines: Lines, depth: number): Block {
  const line = lines.peek();
  if (FENCE.test(line)) return parseFence(lines);
  const heading = HEADING.exec(line);
  if (heading) {
    lines.next();
    return { kind: "heading", level: heading[1]?.length ?? 1, text: heading[2] ?? "" };
  }
  if (RULE.test(line)) {
    lines.next();
    return { kind: "rule" };
  }
  if (depth < DEPTH_MAX && QUOTE.test(line)) return parseQuote(lines, depth);
  if (depth < DEPTH_MAX && ITEM.test(line)) return parseList(lines, depth);
  if (startsTable(lines)) return parseTable(lines);
  return parseParagraph(lines, depth);
}

function parseFence(lines: Lines): Block {
  const open = FENCE.exec(lines.next());
  const mark = open?.[1] ?? "```";
  const close = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}\\s*$`);
  const body: string[] = [];
  while (!lines.done) {
    const line = lines.next();
    if (close.test(line)) break;
    body.push(line);
  }
  return { kind: "code", language: (open?.[2] ?? "").trim().split(/\s/, 1)[0] ?? "", text: body.join("\n") };
}

function parseQuote(lines: Lines, depth: number): Block {
  const body: string[] = [];
  while (!lines.done && QUOTE.test(lines.peek())) body.push(lines.next().replace(QUOTE, ""));
  return { kind: "quote", blocks: parseBlocks(body.join("\n"), depth + 1) };
}

function parseList(lines: Lines, depth: number): Block {
  const first = ITEM.exec(lines.peek());
  const marker = first?.[2] ?? "-";
  const ordered = /\d/.test(marker);
  const sameList = (line: string) => {
    const item = ITEM.exec(line);
    return item !== null && /\d/.test(item[2] ?? "") === ordered && !RULE.test(line);
  };
  const items: Block[][] = [];
  while (!lines.done && sameList(lines.peek())) {
    items.push(parseBlocks(takeItem(lines), depth + 1));
    // A blank line between two items of one list does not end it.
    if (!lines.peek().trim() && sameList(lines.peek(1))) lines.next();
  }
  return { kind: "list", ordered, start: ordered ? Number.parseInt(marker, 10) : 1, items };
}

/** One item's lines without their indentation: the rest of its first line and what is indented. */
function takeItem(lines: Lines): string {
  const line = lines.next();
  const found = ITEM.exec(line);
  const body = [line.slice(found?.[0].length ?? 0)];
  const indent = (found?.[1]?.length ?? 0) + 2; // forgiving: models indent by 2, 3 or 4
  while (!lines.done) {
    const next = lines.peek();
    const depth = next.length - next.trimStart().length;
    if (!next.trim()) {
      const after = lines.peek(1);
      if (!after.trim() || after.length - after.trimStart().length < indent) break;
    } else if (depth < indent && (ITEM.test(next) || startsBlock(next))) {
      break;
    }
    const width = Math.min(depth, found?.[0].length ?? indent);
    body.push(lines.next().slice(width));
  }
  return body.join("\n");
}

function startsBlock(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || RULE.test(line);
}

function startsTable(lines: Lines): boolean {
  return lines.peek().includes("|") && lines.peek(1).includes("-") && TABLE_RULE.test(lines.peek(1));
}

function cells(line: string): string[] {
  const trimmed = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return trimmed.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function alignOf(cell: string): Align {
  const left = cell.startsWith(":");
  const right = cell.endsWith(":");
  if (left && right) return "center";
  return right ? "right" : left ? "left" : null;
}

function parseTable(lines: Lines): Block {
  const head = cells(lines.next());
  const align = cells(lines.next()).map(alignOf);
  const rows: string[][] = [];
  while (!lines.done && lines.peek().includes("|")) {
    const row = cells(lines.next());
    rows.push(head.map((_, column) => row[column] ?? ""));
  }
  return { kind: "table", align, head, rows };
}

function parseParagraph(lines: Lines, depth: number): Block {
  const body = [lines.next()];
  while (!lines.done && lines.peek().trim()) {
    const line = lines.peek();
    if (startsBlock(line) || startsTable(lines)) break;
    if (depth < DEPTH_MAX && /^ {0,3}([-*+]|1[.)])\s+\S/.test(line)) break;
    body.push(lines.next());
  }
  return { kind: "paragraph", text: body.map((line) => line.replace(/^ +/, "")).join("\n").trimEnd() };
}
