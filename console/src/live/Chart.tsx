// A titled chart with its legend. The crosshair is shared: all charts show the same moment. The
// legend carries the values as text, which is also what a screen reader gets.
import { useEffect, useRef, useState, type PointerEvent } from "react";
import { createStore, useStore } from "../app/store";
import { themeStore } from "../app/theme";
import { NONE } from "../ui/format";
import { draw, scaleOf } from "./draw";
import { nearestIndex, type Line } from "./series";

interface Props {
  title: string;
  times: number[];
  span_s: number;
  lines: Line[];
  format: (value: number) => string;
  ceiling?: number | null;
  bytes?: boolean;
  whole?: boolean;
}

const HEIGHT_PX = 150;
const cursorStore = createStore<number | null>(null); // unix_ms pointed at

function colorsOf(canvas: HTMLCanvasElement) {
  // light-dark() is only resolved in a real property, so each colour passes through `color`.
  const resolve = (name: string) => {
    canvas.style.color = `var(${name})`;
    return getComputedStyle(canvas).color;
  };
  return {
    text: resolve("--ink-3"),
    grid: resolve("--line"),
    tones: [1, 2, 3, 4].map((tone) => resolve(`--tone-${tone}`)),
  };
}

function useWidth(element: HTMLElement | null): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return width;
}

export function Chart({ title, times, span_s, lines, format, ceiling = null, bytes = false, whole = false }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [frame, setFrame] = useState<HTMLDivElement | null>(null);
  const width = useWidth(frame);
  const theme = useStore(themeStore);
  const pointed = useStore(cursorStore);
  const cursor = pointed === null ? null : nearestIndex(times, pointed);

  useEffect(() => {
    const target = canvas.current;
    const ctx = target?.getContext("2d");
    if (!target || !ctx || width === 0) return;
    const ratio = devicePixelRatio || 1;
    target.width = Math.round(width * ratio);
    target.height = Math.round(HEIGHT_PX * ratio);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    const colors = colorsOf(target);
    draw(ctx, { width, height: HEIGHT_PX, times, span_s, lines, ceiling, bytes, whole, format, cursor, colors });
    target.dataset.newest = String(times[times.length - 1] ?? 0); // for tests: drawn up to here
  }, [width, times, span_s, lines, ceiling, bytes, whole, format, cursor, theme]);

  const onPointerMove = (event: PointerEvent<HTMLCanvasElement>) => {
    const scale = scaleOf({ width, height: HEIGHT_PX, times, span_s, lines, ceiling, bytes, whole });
    const box = event.currentTarget.getBoundingClientRect();
    cursorStore.set(scale.timeAt(event.clientX - box.left));
  };
  const at = cursor ?? times.length - 1;
  const valueOf = (line: Line) => {
    const value = line.values[at];
    return value === null || value === undefined ? NONE : format(value);
  };
  return (
    <figure className="card chart">
      <figcaption>
        <h2>{title}</h2>
        <ul className="legend">
          {lines.map((line) => (
            <li key={line.label}>
              <span className={`swatch tone-${line.tone}`} aria-hidden="true" />
              {line.label} <strong className="number">{valueOf(line)}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
      <div ref={setFrame} className="chart-frame">
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${title}: ${lines.map((line) => `${line.label} ${valueOf(line)}`).join(", ")}`}
          onPointerMove={onPointerMove}
          onPointerLeave={() => cursorStore.set(null)}
        />
      </div>
    </figure>
  );
}
