// A shell in the box. Keys go through a text area, so that input methods, phones and pasting work;
// Shift+Tab leaves it. The screen is drawn by hand: React would be asked for every character.
import { useEffect, useRef, useState } from "react";
import { useT } from "../i18n";
import { formatBytes } from "../ui/format";
import { cssColour, keyBytes, Vt, type Pen, type Row } from "./vt";
import type { ExecEnd } from "./types";

const ROWS = 24;

function styleRun(span: HTMLElement, pen: Pen): void {
  const [fg, bg] = pen.inverse ? [pen.bg ?? -1, pen.fg ?? -1] : [pen.fg, pen.bg];
  if (fg !== null) span.style.color = fg < 0 ? "var(--vt-back)" : cssColour(fg);
  if (bg !== null) span.style.background = bg < 0 ? "var(--vt-ink)" : cssColour(bg);
  if (pen.bold) span.style.fontWeight = "700";
  if (pen.dim) span.style.opacity = "0.65";
  if (pen.italic) span.style.fontStyle = "italic";
  if (pen.underline) span.style.textDecoration = "underline";
}

function drawRow(line: HTMLElement, row: Row, cursor: number): void {
  line.replaceChildren();
  for (let from = 0; from < row.length; ) {
    let to = from + 1;
    if (from !== cursor) while (to < row.length && to !== cursor && row[to]!.pen === row[from]!.pen) to += 1;
    const span = document.createElement("span");
    span.textContent = row.slice(from, to).map((cell) => cell.text).join("");
    styleRun(span, row[from]!.pen);
    if (from === cursor) span.className = "vt-cursor";
    line.append(span);
    from = to;
  }
}

/** Draws rows into `screen`, scrollback first; only those that changed. */
function draw(screen: HTMLElement, vt: Vt, drawn: Map<Row, string>): void {
  const rows = [...vt.scrollback, ...vt.rows];
  while (screen.childElementCount < rows.length) screen.append(document.createElement("div"));
  while (screen.childElementCount > rows.length) screen.lastElementChild!.remove();
  const cursorRow = vt.scrollback.length + vt.y;
  rows.forEach((row, index) => {
    const cursor = index === cursorRow && vt.cursorShown ? vt.x : -1;
    const line = screen.children[index] as HTMLElement;
    const key = `${cursor}:${row.map((cell) => cell.text + (cell.pen.fg ?? "") + (cell.pen.bg ?? "")).join("")}`;
    if (line.dataset.key === key && drawn.get(row) === key) return;
    line.dataset.key = key;
    drawn.set(row, key);
    drawRow(line, row, cursor);
  });
}

function terminalUrl(id: string, columns: number): string {
  const url = new URL(`./v1/sandboxes/${encodeURIComponent(id)}/terminal?columns=${columns}&rows=${ROWS}`, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

type Ended = { end?: ExecEnd; lost?: boolean } | null;

export function TerminalView({ id }: { id: string }) {
  const t = useT();
  const frame = useRef<HTMLDivElement>(null);
  const screen = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLTextAreaElement>(null);
  const send = useRef<(text: string) => void>(() => undefined);
  const vtRef = useRef<Vt | null>(null);
  const [round, setRound] = useState(0);
  const [ended, setEnded] = useState<Ended>(null);
  const [notice, setNotice] = useState("");

  useEffect(() => {
    const box = frame.current!;
    const probe = document.createElement("span");
    probe.textContent = "0".repeat(50);
    probe.className = "vt-probe";
    box.append(probe);
    const cell = probe.getBoundingClientRect().width / 50;
    probe.remove();
    const columnsNow = () => Math.max(20, Math.min(250, Math.floor((box.clientWidth - 24) / cell)));

    const vt = new Vt(columnsNow(), ROWS);
    vtRef.current = vt;
    setEnded(null);
    setNotice("");
    const socket = new WebSocket(terminalUrl(id, vt.columns));
    socket.binaryType = "arraybuffer";
    const encoder = new TextEncoder();
    const decoder = new TextDecoder();
    send.current = (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(encoder.encode(text));
    };
    vt.reply = (text) => send.current(text);
    let pending = 0;
    const drawn = new Map<Row, string>();
    const redraw = () => {
      pending ||= requestAnimationFrame(() => {
        pending = 0;
        if (drawn.size > 4000) drawn.clear();
        draw(screen.current!, vt, drawn);
        box.scrollTop = box.scrollHeight;
      });
    };
    let said: ExecEnd | undefined;
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (typeof data !== "string") {
        vt.write(decoder.decode(data, { stream: true }));
        redraw();
        return;
      }
      const told = JSON.parse(data) as { type: string; bytes?: number; message?: string } & ExecEnd;
      if (told.type === "end") said = told;
      if (told.type === "dropped") setNotice(t("sandboxes.dropped", { bytes: formatBytes(told.bytes) }));
      if (told.type === "error") setNotice(told.message ?? "");
    };
    socket.onopen = () => input.current?.focus({ preventScroll: true });
    let left = false;
    socket.onclose = () => {
      if (!left) setEnded(said ? { end: said } : { lost: true });
    };
    const observer = new ResizeObserver(() => {
      const columns = columnsNow();
      if (columns === vt.columns) return;
      vt.resize(columns, ROWS);
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "resize", columns, rows: ROWS }));
      redraw();
    });
    observer.observe(box);
    redraw();
    return () => {
      left = true;
      observer.disconnect();
      cancelAnimationFrame(pending);
      socket.close();
    };
  }, [id, round, t]);

  const paste = (text: string) => {
    const plain = text.replace(/\r?\n/g, "\r");
    send.current(vtRef.current?.bracketedPaste ? `\x1b[200~${plain}\x1b[201~` : plain);
  };
  return (
    <section className="card">
      <div className="row">
        <h2 className="grow">{t("sandboxes.terminal")}</h2>
        {ended && <button type="button" className="button small" onClick={() => setRound(round + 1)}>{t("sandboxes.terminal.again")}</button>}
      </div>
      <div ref={frame} className="vt" onMouseUp={() => getSelection()?.isCollapsed !== false && input.current?.focus({ preventScroll: true })}>
        <div ref={screen} className="vt-screen" role="log" aria-live="off" aria-label={t("sandboxes.output")} />
        <textarea
          ref={input}
          className="vt-input"
          aria-label={t("sandboxes.terminal.keys")}
          autoCapitalize="off"
          autoComplete="off"
          autoCorrect="off"
          spellCheck={false}
          rows={1}
          disabled={ended !== null}
          onKeyDown={(event) => {
            event.stopPropagation(); // g m and ? are the shell's here
            if (event.nativeEvent.isComposing) return;
            const bytes = keyBytes(event, vtRef.current?.cursorKeys ?? false);
            if (bytes === null) return;
            event.preventDefault();
            send.current(bytes);
          }}
          onInput={(event) => {
            if ((event.nativeEvent as InputEvent).isComposing) return;
            send.current(event.currentTarget.value);
            event.currentTarget.value = "";
          }}
          onCompositionEnd={(event) => {
            send.current(event.currentTarget.value);
            event.currentTarget.value = "";
          }}
          onPaste={(event) => {
            event.preventDefault();
            paste(event.clipboardData.getData("text/plain"));
          }}
        />
      </div>
      <p className="muted small" role="status">
        {ended?.end && t("sandboxes.terminal.ended", { reason: ended.end.reason, code: ended.end.exit_code })}
        {ended?.lost && t("sandboxes.terminal.lost")}
        {!ended && (notice || t("sandboxes.terminal.leave"))}
      </p>
    </section>
  );
}
