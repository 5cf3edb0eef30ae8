// Draws one time chart on a canvas: grid, lines with a faint fill, crosshair. A line breaks where a
// value is missing or where more than GAP_MS lie between two samples.
import { maxOf, niceByteStep, niceStep, ticks, type Line } from "./series";

const GAP_MS = 5000;
const PAD = { left: 52, right: 10, top: 8, bottom: 20 };

export interface Scene {
  width: number;
  height: number;
  times: number[];
  span_s: number;
  lines: Line[];
  ceiling: number | null; // a fixed top, such as the number of pages there are
  bytes: boolean;
  whole: boolean; // counts: no mark at half a request
  format: (value: number) => string;
  cursor: number | null; // index into times
  colors: { text: string; grid: string; tones: string[] };
}

export interface Scale {
  x: (unixMs: number) => number;
  y: (value: number) => number;
  timeAt: (px: number) => number;
  marks: number[];
}

export function scaleOf(scene: Pick<Scene, "width" | "height" | "times" | "span_s" | "lines" | "ceiling" | "bytes" | "whole">): Scale {
  const max = Math.max(scene.ceiling ?? 0, maxOf(scene.lines)) || 1;
  const nice = scene.bytes ? niceByteStep(max, 3) : niceStep(max, 3);
  const step = scene.whole ? Math.max(1, nice) : nice;
  const marks = ticks(max, 3, step);
  const top = marks[marks.length - 1] ?? 1;
  const inner_w = Math.max(1, scene.width - PAD.left - PAD.right);
  const inner_h = Math.max(1, scene.height - PAD.top - PAD.bottom);
  const end = scene.times[scene.times.length - 1] ?? 0;
  const begin = end - scene.span_s * 1000;
  return {
    x: (unixMs) => PAD.left + ((unixMs - begin) / (end - begin || 1)) * inner_w,
    y: (value) => PAD.top + (1 - value / top) * inner_h,
    timeAt: (px) => begin + ((px - PAD.left) / inner_w) * (end - begin),
    marks,
  };
}

export function draw(ctx: CanvasRenderingContext2D, scene: Scene): void {
  const scale = scaleOf(scene);
  ctx.clearRect(0, 0, scene.width, scene.height);
  drawGrid(ctx, scene, scale);
  for (const line of scene.lines) drawLine(ctx, scene, scale, line);
  if (scene.cursor !== null) drawCursor(ctx, scene, scale, scene.cursor);
}

function drawGrid(ctx: CanvasRenderingContext2D, scene: Scene, scale: Scale): void {
  ctx.font = "11px system-ui, sans-serif";
  ctx.fillStyle = scene.colors.text;
  ctx.strokeStyle = scene.colors.grid;
  ctx.lineWidth = 1;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const mark of scale.marks) {
    const y = Math.round(scale.y(mark)) + 0.5;
    line(ctx, PAD.left, y, scene.width - PAD.right, y);
    ctx.fillText(mark === 0 ? "0" : scene.format(mark), PAD.left - 8, y);
  }
  ctx.textBaseline = "alphabetic";
  const quarter = scene.span_s / 4;
  const end = scene.times[scene.times.length - 1] ?? 0;
  for (let n = 0; n <= 4; n += 1) {
    const ago_s = quarter * (4 - n);
    ctx.textAlign = n === 0 ? "left" : n === 4 ? "right" : "center";
    ctx.fillText(ago_s === 0 ? "0" : `-${agoLabel(ago_s)}`, scale.x(end - ago_s * 1000), scene.height - 5);
  }
}

function agoLabel(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)}s`;
  const rest = Math.round(seconds % 60);
  return rest ? `${Math.floor(seconds / 60)}:${String(rest).padStart(2, "0")}` : `${seconds / 60}m`;
}

/** Stretches of the line without a hole, as pixel points. */
function stretches(scene: Scene, scale: Scale, values: (number | null)[]): [number, number][][] {
  const out: [number, number][][] = [];
  let current: [number, number][] | null = null;
  let before = 0;
  scene.times.forEach((time, index) => {
    const value = values[index] ?? null;
    if (value === null || (current && time - before > GAP_MS)) current = null;
    if (value !== null) {
      if (!current) out.push((current = []));
      current.push([scale.x(time), scale.y(value)]);
    }
    before = time;
  });
  return out;
}

function drawLine(ctx: CanvasRenderingContext2D, scene: Scene, scale: Scale, drawn: Line): void {
  const color = scene.colors.tones[drawn.tone - 1] ?? scene.colors.text;
  const base = scale.y(0);
  for (const points of stretches(scene, scale, drawn.values)) {
    const path = new Path2D();
    points.forEach(([x, y], index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)));
    const area = new Path2D(path);
    area.lineTo(points[points.length - 1]?.[0] ?? 0, base);
    area.lineTo(points[0]?.[0] ?? 0, base);
    ctx.globalAlpha = 0.1;
    ctx.fillStyle = color;
    ctx.fill(area);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = color;
    ctx.lineWidth = 1.5;
    ctx.lineJoin = "round";
    ctx.stroke(path);
  }
}

function drawCursor(ctx: CanvasRenderingContext2D, scene: Scene, scale: Scale, index: number): void {
  const x = Math.round(scale.x(scene.times[index] ?? 0)) + 0.5;
  ctx.strokeStyle = scene.colors.text;
  ctx.globalAlpha = 0.5;
  line(ctx, x, PAD.top, x, scene.height - PAD.bottom);
  ctx.globalAlpha = 1;
  for (const drawn of scene.lines) {
    const value = drawn.values[index];
    if (value === null || value === undefined) continue;
    ctx.fillStyle = scene.colors.tones[drawn.tone - 1] ?? scene.colors.text;
    ctx.beginPath();
    ctx.arc(x, scale.y(value), 3, 0, 7);
    ctx.fill();
  }
}

function line(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
