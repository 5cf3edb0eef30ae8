import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { parseBlocks } from "../src/markdown/blocks";
import { highlight } from "../src/markdown/highlight";
import { parseInline, safeHref } from "../src/markdown/inline";
import { Markdown } from "../src/markdown/Markdown";

const html = (text: string) => renderToStaticMarkup(<Markdown text={text} />);

describe("Markdown, hostile", () => {
  const attacks = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](data:text/html,<script>alert(1)</script>)",
    "[a](vbscript:msgbox)",
    "[a](java\nscript:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "![a](javascript:alert(1))",
    "![pixel](https://evil.example/p.png)",
    "<javascript:alert(1)>",
    "[a](https://x.example/\"onmouseover=\"alert(1))",
    "```html\n<script>alert(1)</script>\n```",
    "```\"><script>alert(1)</script>\ncode\n```",
    "| <b onclick=alert(1)> |\n|---|\n| <svg onload=alert(1)> |",
    "# <style>*{display:none}</style>",
    "> <math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "[**<u>**](https://x.example)",
    "`<script>`",
  ];
  const allowed = /^(div|p|h[3-6]|ul|ol|li|span|code|pre|strong|em|del|a|br|hr|blockquote|table|thead|tbody|tr|th|td|button|svg|path)$/;

  it.each(attacks)("renders only the closed list of elements: %s", (attack) => {
    const out = html(attack);
    for (const [, tag] of out.matchAll(/<([a-zA-Z][\w-]*)/g)) expect(tag).toMatch(allowed);
    // Attributes only as React wrote them: no handler, and links only to the web.
    for (const [, attributes] of out.matchAll(/<[a-z][\w-]*((?:\s+[\w-]+(?:="[^"]*")?)*)/g)) {
      expect(attributes).not.toMatch(/\son\w+=|\ssrc=|\sstyle=/);
    }
    for (const [, href] of out.matchAll(/href="([^"]*)"/g)) expect(href).toMatch(/^(https?:\/\/|mailto:)/);
  });

  it("accepts web and mail addresses only", () => {
    expect(safeHref("https://a.example/b")).toBe("https://a.example/b");
    expect(safeHref("mailto:a@b.example")).toBe("mailto:a@b.example");
    for (const bad of ["javascript:1", "//a.example", "/admin", "file:///etc/passwd", "java\tscript:1", "\u0001https://x"]) {
      expect(safeHref(bad)).toBeNull();
    }
  });

  it("survives deep nesting and random bytes", () => {
    expect(html(">".repeat(500) + "x")).toContain("x");
    expect(html("- ".repeat(300) + "x")).toContain("x");
    expect(html(`${"*".repeat(3000)}x`)).toContain("x");
    expect(html("[".repeat(2000))).toContain("[");
    let seed = 7;
    const next = () => (seed = (seed * 1103515245 + 12345) % 2147483648);
    const letters = "ab *_`~[]()<>!#|-\n>1.\\\t:h";
    for (let round = 0; round < 300; round += 1) {
      const text = Array.from({ length: 80 }, () => letters[next() % letters.length]).join("");
      expect(typeof html(text)).toBe("string");
    }
  });
});

describe("Markdown, well meant", () => {
  it("reads emphasis, code, links and breaks", () => {
    expect(html("**a** *b* ~~c~~ `d <e>`")).toContain("<strong>a</strong> <em>b</em> <del>c</del> <code>d &lt;e&gt;</code>");
    expect(html("[x](https://x.example/a_(b)) https://y.example/z.")).toContain('href="https://y.example/z"');
    expect(parseInline("one  \ntwo").some((node) => node.kind === "break")).toBe(true);
  });

  it("leaves arithmetic and snake_case alone", () => {
    expect(html("2 * 3 * 4 and snake_case_name")).toContain("2 * 3 * 4 and snake_case_name");
    expect(html("\\*not em\\*")).toContain("*not em*");
  });

  it("keeps an unclosed fence a fence while an answer streams", () => {
    expect(parseBlocks("text\n```py\nprint(1)")).toEqual([
      { kind: "paragraph", text: "text" },
      { kind: "code", language: "py", text: "print(1)" },
    ]);
  });

  it("nests lists and keeps numbering", () => {
    const [list] = parseBlocks("3. a\n   - b\n   - c\n4. d\n\n   more");
    expect(list).toMatchObject({ kind: "list", ordered: true, start: 3 });
    expect(list?.kind === "list" && list.items[0]?.[1]).toMatchObject({ kind: "list", ordered: false });
    expect(list?.kind === "list" && list.items[1]?.length).toBe(2);
  });

  it("reads tables with alignment and escaped bars", () => {
    expect(parseBlocks("| a | b |\n|:--|--:|\n| 1 \\| 2 | 3 |")).toEqual([
      { kind: "table", align: ["left", "right"], head: ["a", "b"], rows: [["1 | 2", "3"]] },
    ]);
  });

  it("starts headings below the screen's own", () => {
    expect(html("# Title")).toContain("<h3>Title</h3>");
  });
});

describe("highlight", () => {
  it("loses no character, whatever the language", () => {
    const code = "def f(x): # c\n  return 'a\\'b' + \"c\" // d\n/* e";
    for (const language of ["python", "js", "sql", "", "brainf***"]) {
      expect(highlight(code, language).map((part) => part.text).join("")).toBe(code);
    }
  });

  it("tells comments, strings, numbers and keywords apart", () => {
    const kinds = highlight("return 42 # no", "python").filter((part) => part.kind);
    expect(kinds.map((part) => [part.text, part.kind])).toEqual([["return", "keyword"], ["42", "number"], ["# no", "comment"]]);
  });
});
