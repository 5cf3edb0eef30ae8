// Which rows of a long list are in view, so that only they are drawn.
import { useCallback, useEffect, useState, type RefObject } from "react";

const STEP_ROWS = 4; // in steps of a few rows: most scroll events then change nothing

export interface Virtual {
  first: number;
  last: number; // behind the last one drawn
  page: number; // rows that fit
  /** Scrolls as little as shows the row; `head_px` of sticky head cover the top. */
  show: (index: number) => void;
}

/** The rows to draw when `rows` from `row` on are in view, with a margin so that a flick shows no
 *  hole. */
export function visibleRows(row: number, rows: number, count: number, margin = 8) {
  const first = Math.max(0, row - margin);
  const last = Math.min(count, row + rows + margin);
  return { first: Math.min(first, count), last };
}

export function useVirtual(frame: RefObject<HTMLElement | null>, count: number, row_px: number, head_px: number): Virtual {
  const [view, setView] = useState({ row: 0, rows: 16 });
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const measure = () => {
      const row = Math.floor(element.scrollTop / row_px / STEP_ROWS) * STEP_ROWS;
      const rows = Math.ceil(element.clientHeight / row_px) + STEP_ROWS;
      setView((before) => (before.row === row && before.rows === rows ? before : { row, rows }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, [frame, row_px]);
  const show = useCallback((index: number) => {
    const element = frame.current;
    if (!element) return;
    const top = index * row_px;
    const room = element.clientHeight - head_px;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + row_px > element.scrollTop + room) element.scrollTop = top + row_px - room;
  }, [frame, row_px, head_px]);
  return { ...visibleRows(view.row, view.rows, count), page: Math.max(1, view.rows - STEP_ROWS - 2), show };
}

/** The row that a key goes to; null for other keys. */
export function rowOfKey(key: string, at: number, count: number, page: number): number | null {
  const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: count - 1 };
  const to = moves[key];
  return to === undefined ? null : Math.max(0, Math.min(count - 1, to));
}
