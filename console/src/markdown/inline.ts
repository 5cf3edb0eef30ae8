// Inline Markdown to a tree of plain data. Nothing here makes HTML: the tree is drawn as React
// text nodes and a closed list of elements, so model output can hold no markup that runs.

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong" | "em" | "del"; children: Inline[] }
  | { kind: "link"; href: string; children: Inline[] }
  | { kind: "break" };

const DEPTH_MAX = 8; // nesting beyond this is text; keeps hostile input from deep recursion

/** The address if it is one a person may safely follow, else null. */
export function safeHref(address: string): string | null {
  const trimmed = address.trim();
  // Control characters are dropped by browsers before the scheme is read ("java\nscript:").
  if (/[\u0000-\u0020\u007f]/.test(trimmed)) return null;
  return /^(https?:\/\/|mailto:)/i.test(trimmed) ? trimmed : null;
}

interface Match {
  node: Inline;
  length: number;
}

type Rule = (text: string, at: number, depth: number) => Match | null;

function sticky(pattern: RegExp): (text: string, at: number) => RegExpExecArray | null {
  return (text, at) => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
}

const escaped = sticky(/\\([\\`*_{}[\]()#+\-.!~>|])/y);
const codeSpan = sticky(/(`+)(?!`)([\s\S]*?[^`])\1(?!`)/y);
const link = sticky(/!?\[([^[\]]{0,500})\]\(\s*<?([^\s<>()]{1,2000}(?:\([^\s()]{0,200}\)[^\s<>()]{0,500})?)>?(?:\s+"[^"]{0,200}")?\s*\)/y);
const bareUrl = sticky(/https?:\/\/[^\s<>"'`]{1,2000}/y);
const angleUrl = sticky(/<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y);
const hardBreak = sticky(/(?: {2,}|\\)\n/y);

const wordBefore = (text: string, at: number) => /[\p{L}\p{N}_]/u.test(text[at - 1] ?? "");

const rules: Record<string, Rule> = {
  "\\": (text, at) => {
    const found = escaped(text, at);
    if (found) return { node: { kind: "text", text: found[1] ?? "" }, length: 2 };
    return hardBreak(text, at) ? { node: { kind: "break" }, length: 2 } : null;
  },
  " ": (text, at) => {
    const found = hardBreak(text, at);
    return found && { node: { kind: "break" }, length: found[0].length };
  },
  "`": (text, at) => {
    const found = codeSpan(text, at);
    return found && { node: { kind: "code", text: (found[2] ?? "").replace(/^ (.+) $/, "$1") }, length: found[0].length };
  },
  "[": linkRule,
  "!": linkRule, // an image becomes a link: showing it would ask another server for it
  "<": (text, at) => {
    const found = angleUrl(text, at);
    const href = found && safeHref(found[1] ?? "");
    return found && href ? { node: { kind: "link", href, children: [plain(href)] }, length: found[0].length } : null;
  },
  h: (text, at) => {
    if (wordBefore(text, at)) return null;
    const found = bareUrl(text, at);
    const href = found && safeHref(found[0].replace(/[.,;:!?)\]*_]+$/, ""));
    return href ? { node: { kind: "link", href, children: [plain(href)] }, length: href.length } : null;
  },
  "*": (text, at, depth) => emphasis(text, at, "*", depth),
  _: (text, at, depth) => (wordBefore(text, at) ? null : emphasis(text, at, "_", depth)),
  "~": (text, at, depth) => delimited(text, at, "~~", "del", depth),
};

function plain(text: string): Inline {
  return { kind: "text", text };
}

function linkRule(text: string, at: number, depth: number): Match | null {
  const found = link(text, at);
  const href = found && safeHref(found[2] ?? "");
  if (!found || !href) return null;
  const label = found[1] || href;
  return { node: { kind: "link", href, children: parseInline(label, depth + 1) }, length: found[0].length };
}

function emphasis(text: string, at: number, mark: string, depth: number): Match | null {
  return delimited(text, at, mark + mark, "strong", depth) ?? delimited(text, at, mark, "em", depth);
}

function delimited(text: string, at: number, mark: string, kind: "strong" | "em" | "del", depth: number): Match | null {
  if (!text.startsWith(mark, at) || /\s/.test(text[at + mark.length] ?? " ")) return null;
  let end = text.indexOf(mark, at + mark.length + 1);
  // A single mark does not close on a double one, nor after a space ("2 * 3").
  while (end >= 0 && (/\s/.test(text[end - 1] ?? "") || (mark.length === 1 && text[end + 1] === mark))) {
    end = text.indexOf(mark, end + (text[end + 1] === mark ? 2 : 1));
  }
  if (end < 0) return null;
  const inside = text.slice(at + mark.length, end);
  return { node: { kind, children: parseInline(inside, depth + 1) }, length: end + mark.length - at };
}

export function parseInline(text: string, depth = 0): Inline[] {
  if (depth > DEPTH_MAX) return [plain(text)];
  const out: Inline[] = [];
  let pending = 0; // start of text not yet put out
  let at = 0;
  while (at < text.length) {
    const match = rules[text[at] ?? ""]?.(text, at, depth) ?? null;
    if (!match) {
      at += 1;
      continue;
    }
    if (at > pending) out.push(plain(text.slice(pending, at)));
    out.push(match.node);
    at += match.length;
    pending = at;
  }
  if (pending < text.length) out.push(plain(text.slice(pending)));
  return out;
}
