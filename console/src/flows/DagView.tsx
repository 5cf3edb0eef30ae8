// A workflow as boxes and lines, each step as it stands. One tab stop: arrow keys walk the boxes,
// Enter opens one, Space folds what holds others, + and - zoom.
import { memo, useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useT } from "../i18n";
import { formatMs } from "../ui/format";
import type { Stand } from "./fold";
import { layOut, neighbour, NODE_H, type Box } from "./layout";
import { StatusShape, statusKey, type Status } from "./Status";
import { stepStatuses, type Graph, type GraphNode, type StepStatus } from "./types";

const MARGIN = 16;
const FOLD_ALL_OVER = 300; // steps: larger graphs begin folded
const LABEL_MAX = 24;
const ZOOMS = [0.1, 0.15, 0.25, 0.4, 0.6, 0.8, 1, 1.25, 1.6];

export interface Note {
  stand?: Stand | undefined;
  took_ms?: number | null;
  attempts?: number;
  rounds?: string; // "7 of 12"
}

interface Props {
  graph: Graph;
  label: string;
  notes: Map<string, Note>;
  chosen: string | null;
  onChoose: (id: string) => void;
}

function short(text: string, max = LABEL_MAX): string {
  return text.length > max ? `${text.slice(0, max - 1)}…` : text;
}

function path(points: [number, number][]): string {
  return points.map(([x, y], n) => {
    const before = points[n - 1];
    if (!before) return `M${x} ${y}`;
    const bend = (y - before[1]) / 2;
    return before[0] === x ? `L${x} ${y}` : `C${before[0]} ${before[1] + bend} ${x} ${y - bend} ${x} ${y}`;
  }).join("");
}

const sharp = (points: [number, number][]) => points.map(([x, y], n) => `${n ? "L" : "M"}${x} ${y}`).join("");

export function DagView({ graph, label, notes, chosen, onChoose }: Props) {
  const t = useT();
  const holders = useMemo(() => new Set(graph.nodes.map((node) => node.outer).filter(Boolean)), [graph]);
  const [folded, setFolded] = useState<ReadonlySet<string>>(() => (graph.nodes.length > FOLD_ALL_OVER ? holders : new Set()));
  const [zoom, setZoom] = useState<number | null>(null); // null: fits the frame
  const [frame, setFrame] = useState({ w: 800, h: 500 });
  const [focus, setFocus] = useState<string | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const drawing = useMemo(() => layOut(graph, folded), [graph, folded]);
  const nodes = useMemo(() => new Map(graph.nodes.map((node) => [node.id, node])), [graph]);
  const [w, h] = [drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN];
  const fitted = Math.min(1, frame.w / w, Math.max(frame.h / h, 0.8)); // tall ones scroll rather than shrink
  const scale = zoom ?? Math.max(0.1, fitted);
  const current = focus && drawing.boxes.some((box) => box.id === focus) ? focus : drawing.boxes[0]?.id;

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setFrame({ w: element.clientWidth, h: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const step = (by: 1 | -1) => {
    const next = by > 0 ? ZOOMS.find((each) => each > scale + 1e-6) : [...ZOOMS].reverse().find((each) => each < scale - 1e-6);
    if (next) setZoom(next);
  };
  const toggle = useCallback((id: string) => setFolded((before) => {
    const next = new Set(before);
    if (!next.delete(id)) next.add(id);
    return next;
  }), []);
  const latest = useRef(onChoose);
  latest.current = onChoose;
  const choose = useCallback((id: string) => {
    setFocus(id);
    latest.current(id);
  }, []);
  const focusBox = (id: string) => {
    setFocus(id);
    scroller.current?.querySelector<SVGGElement>(`[data-step="${CSS.escape(id)}"]`)?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const at = drawing.boxes.find((box) => box.id === current);
    if (!at) return;
    if (event.key.startsWith("Arrow")) {
      const next = neighbour(drawing.boxes, at, event.key);
      if (next) focusBox(next.id);
    } else if (event.key === "Enter") onChoose(at.id);
    else if (event.key === " ") at.holds && toggle(at.id);
    else if (event.key === "+" || event.key === "=") step(1);
    else if (event.key === "-") step(-1);
    else if (event.key === "0") setZoom(null);
    else if (event.key === "Home" && drawing.boxes[0]) focusBox(drawing.boxes[0].id);
    else if (event.key === "End") focusBox(drawing.boxes[drawing.boxes.length - 1]!.id);
    else return;
    event.preventDefault();
  };
  return (
    <div className="dag">
      <div className="dag-tools">
        <button type="button" className="button small" aria-label={t("flows.zoom.out")} onClick={() => step(-1)}>−</button>
        <button type="button" className="button small" onClick={() => setZoom(null)}>{t("flows.zoom.fit")}</button>
        <button type="button" className="button small" aria-label={t("flows.zoom.in")} onClick={() => step(1)}>+</button>
        {holders.size > 0 && <button type="button" className="button small" onClick={() => setFolded(folded.size === 0 ? holders : new Set())}>{t(folded.size === 0 ? "flows.fold_all" : "flows.unfold_all")}</button>}
        <span className="muted small number">{t("flows.steps", { n: graph.nodes.length })}</span>
      </div>
      <div ref={scroller} className="dag-frame">
        <svg width={w * scale} height={h * scale} viewBox={`${-MARGIN} ${-MARGIN} ${w} ${h}`} role="group" aria-label={label} onKeyDown={onKeyDown}>
          <defs>
            <marker id="dag-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4 0 8z" /></marker>
          </defs>
          {drawing.boxes.filter((box) => box.holds && !box.folded).map((box) => <rect key={box.id} className="dag-holder" x={box.x} y={box.y} width={box.w} height={box.h} rx={12} />)}
          {drawing.arms.filter((arm) => arm.label).map((arm) => <text key={`${arm.outer} ${arm.label}`} className="dag-arm" x={arm.x + arm.w / 2} y={arm.y + 14}>{short(arm.label)}</text>)}
          {drawing.lines.map((line, n) => <path key={n} className={`dag-line ${line.kind}`} d={line.kind === "jump" ? sharp(line.points) : path(line.points)} markerEnd="url(#dag-arrow)" />)}
          {drawing.boxes.map((box) => {
            const node = nodes.get(box.id)!;
            return <Node key={box.id} box={box} node={node} note={notes.get(box.id)} chosen={box.id === chosen} tab={box.id === current} onChoose={choose} onToggle={toggle} />;
          })}
        </svg>
      </div>
    </div>
  );
}

interface NodeProps {
  box: Box;
  node: GraphNode;
  note: Note | undefined;
  chosen: boolean;
  tab: boolean;
  onChoose: (id: string) => void;
  onToggle: (id: string) => void;
}

const noteText = (note: Note | undefined) => note && `${note.took_ms} ${note.attempts} ${note.rounds} ${note.stand?.status} ${note.stand?.paths.length} ${JSON.stringify(note.stand?.counts)}`;

/** A large graph has many boxes and few that change: only those are drawn again. */
const Node = memo(StepBox, (before, after) =>
  before.box === after.box && before.node === after.node && before.chosen === after.chosen && before.tab === after.tab && noteText(before.note) === noteText(after.note));

function StepBox({ box, node, note, chosen, tab, onChoose, onToggle }: NodeProps) {
  const t = useT();
  const stand = note?.stand;
  const status: StepStatus = stand?.status ?? "pending";
  const many = (stand?.paths.length ?? 0) > 1;
  const counts = many ? stepStatuses.filter((each) => stand!.counts[each]).map((each) => ({ status: each, n: stand!.counts[each]! })) : [];
  const figures = [note?.rounds ?? "", note?.took_ms != null ? formatMs(note.took_ms) : "", (note?.attempts ?? 0) > 1 ? `×${note!.attempts}` : ""].filter(Boolean).join(" · ");
  const words = [node.title, node.kind, stand ? (many ? counts.map(({ status: each, n }) => `${n} ${t(statusKey(each))}`).join(", ") : t(statusKey(status))) : "", figures, box.folded ? t("flows.folded") : ""].filter(Boolean).join(", ");
  const head = { width: box.w, height: Math.min(box.h, NODE_H) };
  return (
    <g
      className={`dag-step ${stand ? `step-${status}` : "plain"} ${chosen ? "chosen" : ""}`}
      data-step={box.id}
      role="button"
      tabIndex={tab ? 0 : -1}
      aria-label={words}
      aria-pressed={chosen}
      transform={`translate(${box.x} ${box.y})`}
      onClick={() => onChoose(box.id)}
    >
      <title>{node.title}</title>
      {box.folded && <rect className="dag-stack" x={5} y={5} width={box.w} height={box.h} rx={9} />}
      <rect className="dag-box" {...head} rx={9} />
      {stand && <g transform="translate(11 10)"><StatusShape status={status as Status} /></g>}
      <text className="dag-title" x={stand ? 34 : 12} y={22}>{short(node.title, box.holds ? 19 : LABEL_MAX)}</text>
      <text className="dag-kind" x={stand ? 34 : 12} y={40}>{node.kind}{node.conditional ? " ?" : ""}{figures ? ` · ${figures}` : ""}</text>
      {counts.length > 0 && <Counts counts={counts} x={box.w - 10} />}
      {box.holds && (
        <g className="dag-fold" transform={`translate(${box.w - 26} 8)`} onClick={(event) => { event.stopPropagation(); onToggle(box.id); }}>
          <title>{t(box.folded ? "flows.unfold" : "flows.fold")}</title>
          <rect width={18} height={18} rx={5} />
          <path d={box.folded ? "M9 5v8M5 9h8" : "M5 9h8"} />
        </g>
      )}
    </g>
  );
}

/** How many rounds stand how, as a row of small figures from the right. */
function Counts({ counts, x }: { counts: { status: StepStatus; n: number }[]; x: number }) {
  let at = x;
  return (
    <g className="dag-counts">
      {counts.slice(0, 4).map(({ status, n }) => {
        const text = n > 9999 ? "9999+" : String(n);
        const w = 12 + text.length * 6.5;
        at -= w + 4;
        return (
          <g key={status} transform={`translate(${at} 29)`} className={`count-${status}`}>
            <rect width={w} height={16} rx={8} />
            <text x={w / 2} y={12}>{text}</text>
          </g>
        );
      })}
    </g>
  );
}

export function Legend() {
  const t = useT();
  return (
    <ul className="dag-legend" aria-label={t("flows.legend")}>
      {stepStatuses.map((status) => <li key={status} className={`status-${status}`}><svg width={14} height={14} viewBox="0 0 16 16" aria-hidden="true"><StatusShape status={status} /></svg> {t(statusKey(status))}</li>)}
    </ul>
  );
}

