// A workflow's text with line numbers; faults stand at their line and column and are told below.
import { useEffect, useRef, type UIEvent } from "react";
import { useT } from "../i18n";
import type { FileFault } from "./types";

interface Props {
  label: string;
  text: string;
  faults: FileFault[];
  onChange?: (text: string) => void; // absent: to read only
}

/** Where a line and a column are in a text, as an index. */
export function offsetOf(text: string, line: number, column: number): number {
  let at = 0;
  for (let n = 1; n < line; n += 1) {
    const end = text.indexOf("\n", at);
    if (end < 0) break;
    at = end + 1;
  }
  const end = text.indexOf("\n", at);
  return Math.min(at + Math.max(0, column - 1), end < 0 ? text.length : end);
}

export function SourceEditor({ label, text, faults, onChange }: Props) {
  const t = useT();
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLOListElement>(null);
  const lines = text.split("\n").length;
  const bad = new Map(faults.map((fault) => [fault.line, fault]));
  const goTo = (fault: FileFault) => {
    const at = offsetOf(text, fault.line, fault.column);
    const element = area.current;
    if (!element) return;
    element.focus();
    element.setSelectionRange(at, Math.min(text.length, at + 1));
    element.scrollTop = Math.max(0, (fault.line - 4) * 20);
  };
  const onScroll = (event: UIEvent<HTMLTextAreaElement>) => {
    if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop;
  };
  useEffect(() => {
    if (gutter.current && area.current) gutter.current.scrollTop = area.current.scrollTop;
  });
  return (
    <div className="source">
      <div className="source-frame">
        <ol ref={gutter} className="source-lines" aria-hidden="true">
          {Array.from({ length: lines }, (_, n) => <li key={n} className={bad.has(n + 1) ? "bad" : ""} title={bad.get(n + 1)?.message}>{n + 1}</li>)}
        </ol>
        <textarea ref={area} className="source-text" aria-label={label} aria-invalid={faults.length > 0} spellCheck={false} wrap="off" readOnly={!onChange} value={text}
          onScroll={onScroll} onChange={(event) => onChange?.(event.target.value)} />
      </div>
      {faults.length > 0 && (
        <ul className="faults" aria-label={t("flows.faults")}>
          {faults.map((fault, n) => (
            <li key={n}><button type="button" className="link mono" onClick={() => goTo(fault)}>{fault.line}:{fault.column}</button> <span className="break">{fault.message}</span></li>
          ))}
        </ul>
      )}
    </div>
  );
}
