// Draws the trees of blocks.ts and inline.ts. No dangerouslySetInnerHTML anywhere in the console.
import { memo, useMemo, type ReactNode } from "react";
import { useT } from "../i18n";
import { CopyButton } from "../ui/CopyButton";
import { parseBlocks, type Block } from "./blocks";
import { highlight } from "./highlight";
import { parseInline, type Inline } from "./inline";

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => parseBlocks(text), [text]);
  return <div className="markdown">{blocks.map((block, index) => <BlockView key={index} block={block} />)}</div>;
});

const sameBlock = (a: { block: Block }, b: { block: Block }) =>
  a.block === b.block || JSON.stringify(a.block) === JSON.stringify(b.block);

/** Memoised by content: while an answer streams only its last block is drawn again. */
const BlockView = memo(function BlockView({ block }: { block: Block }): ReactNode {
  switch (block.kind) {
    case "paragraph":
      return <p>{inline(block.text)}</p>;
    case "heading":
      return <Heading level={block.level}>{inline(block.text)}</Heading>;
    case "code":
      return <CodeBlock language={block.language} text={block.text} />;
    case "quote":
      return <blockquote>{block.blocks.map((child, index) => <BlockView key={index} block={child} />)}</blockquote>;
    case "list":
      return <List block={block} />;
    case "table":
      return <Table block={block} />;
    case "rule":
      return <hr />;
  }
}, sameBlock);

/** A screen has its own h1 and h2, so an answer's headings start at h3. */
function Heading({ level, children }: { level: number; children: ReactNode }) {
  const Tag = `h${Math.min(level + 2, 6)}` as "h3" | "h4" | "h5" | "h6";
  return <Tag>{children}</Tag>;
}

function List({ block }: { block: Extract<Block, { kind: "list" }> }) {
  const items = block.items.map((item, index) => (
    <li key={index}>
      {item.map((child, at) =>
        child.kind === "paragraph" && at === 0
          ? <span key={at}>{inline(child.text)}</span>
          : <BlockView key={at} block={child} />,
      )}
    </li>
  ));
  return block.ordered ? <ol start={block.start}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ block }: { block: Extract<Block, { kind: "table" }> }) {
  const side = (column: number) => (block.align[column] ? `align-${block.align[column]}` : undefined);
  return (
    <div className="table-scroll" tabIndex={0}>
      <table>
        <thead>
          <tr>{block.head.map((cell, column) => <th key={column} className={side(column)}>{inline(cell)}</th>)}</tr>
        </thead>
        <tbody>
          {block.rows.map((row, index) => (
            <tr key={index}>{row.map((cell, column) => <td key={column} className={side(column)}>{inline(cell)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function CodeBlock({ language, text }: { language: string; text: string }) {
  const t = useT();
  const parts = useMemo(() => highlight(text, language), [text, language]);
  return (
    <div className="code-block">
      <div className="code-head">
        <span className="small muted">{language || t("code.plain")}</span>
        <CopyButton text={text} label={t("code.copy")} />
      </div>
      <pre tabIndex={0}>
        <code>{parts.map((part, index) => part.kind ? <span key={index} className={`hl-${part.kind}`}>{part.text}</span> : part.text)}</code>
      </pre>
    </div>
  );
}

function inline(text: string): ReactNode[] {
  return parseInline(text).map(inlineNode);
}

function inlineNode(node: Inline, key: number): ReactNode {
  switch (node.kind) {
    case "text":
      return node.text;
    case "code":
      return <code key={key}>{node.text}</code>;
    case "break":
      return <br key={key} />;
    case "link":
      return <a key={key} href={node.href} target="_blank" rel="noopener noreferrer nofollow">{node.children.map(inlineNode)}</a>;
    case "strong":
      return <strong key={key}>{node.children.map(inlineNode)}</strong>;
    case "em":
      return <em key={key}>{node.children.map(inlineNode)}</em>;
    case "del":
      return <del key={key}>{node.children.map(inlineNode)}</del>;
  }
}
