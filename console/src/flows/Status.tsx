// How a run or a step stands, by shape, colour and word: none of the three alone.
import { useT, type Key } from "../i18n";
import type { RunStatus, StepStatus } from "./types";

export type Status = RunStatus | StepStatus;

const shapes: Record<Status, string> = {
  pending: "M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11z",
  running: "M8 2.500a5.500 5.500 0 1 0 5.500 5.500",
  backoff: "M13 5.500A5.500 5.500 0 1 0 13.500 9M13.500 2.500v3.500H10",
  waiting: "M8 1.500L14.500 8 8 14.500 1.500 8zM8 5v3.500M8 10.800v.1",
  open: "M8 2.500a5.500 5.500 0 1 0 0 11zM8 2.500a5.500 5.500 0 0 1 0 11",
  done: "M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM5.300 8.200l1.900 1.900 3.500-4",
  completed: "M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM5.300 8.200l1.900 1.900 3.500-4",
  skipped: "M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM5.500 8h5",
  failed: "M5.300 2h5.400L14 5.300v5.400L10.700 14H5.300L2 10.700V5.300zM6 6l4 4M10 6l-4 4",
  cancelled: "M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM4.200 11.800l7.600-7.600",
  paused: "M3 3h10v10H3zM6.500 6v4M9.500 6v4",
  undoing: "M6 3.500L2.500 7 6 10.500M3 7h6.500a3.500 3.500 0 0 1 0 7H7",
};

/** For within an svg that is already there. */
export function StatusShape({ status }: { status: Status }) {
  return <path className={`status-shape status-${status}`} d={shapes[status]} />;
}

export function StatusMark({ status }: { status: Status }) {
  return <svg className="status-mark" width={16} height={16} viewBox="0 0 16 16" aria-hidden="true"><StatusShape status={status} /></svg>;
}

export function statusKey(status: Status): Key {
  return `flows.status.${status}`;
}

export function StatusBadge({ status }: { status: Status }) {
  const t = useT();
  return <span className={`status-badge status-${status}`}><StatusMark status={status} /> {t(statusKey(status))}</span>;
}
