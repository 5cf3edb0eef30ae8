// One run, live. The server's state is the truth about now; its events come by a stream that goes on
// after a break where it was: every event is taken once, by its place.
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, asApiError, getJson, request } from "../api/http";
import { reconnects } from "../api/reconnects";
import { readSse } from "../api/sse";
import { useStore } from "../app/store";
import { backoffMs } from "../live/feed";
import { runPath } from "./bulk";
import { Fold } from "./fold";
import { isFinal, type RunEvent, type RunPage, type RunView } from "./types";

export const EVENTS_MAX = 20_000; // of the past, when a run is opened
const STATE_MS = 250; // at most so often the state is read again
const DRAW_MS = 80; // and what came is drawn
const OVER_MS = 5000; // a run that is over may be tried again by others

export type StreamLink = "connecting" | "live" | "over" | "away";

export interface LiveRun {
  run: RunView | null;
  error: ApiError | null;
  link: StreamLink;
  events: RunEvent[]; // in order of place; grows in place
  before: number; // events that are not loaded: those up to this place
  fold: Fold;
  version: number; // changes with every batch of events
  reload: () => void;
}

/** Takes events in order; tells which are new. A hole means that the stream lost some. */
export class EventFeed {
  readonly events: RunEvent[] = [];
  fold = new Fold();
  constructor(public place: number) {}
  /** False for one that is here already. Throws on a hole: ask again from `place`. */
  take(event: RunEvent): boolean {
    if (event.place <= this.place) return false;
    if (event.place !== this.place + 1) throw new ApiError("server", `event ${this.place + 1} is missing`);
    this.place = event.place;
    this.events.push(event);
    this.fold.add(event);
    return true;
  }
}

const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });

export function useRun(id: string): LiveRun {
  const [run, setRun] = useState<RunView | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [link, setLink] = useState<StreamLink>("connecting");
  const [version, setVersion] = useState(0);
  const [round, setRound] = useState(0);
  const reconnected = useStore(reconnects);
  const feed = useRef<EventFeed | null>(null);
  const before = useRef(0);

  useEffect(() => {
    const abort = new AbortController();
    const { signal } = abort;
    let stateTimer: ReturnType<typeof setTimeout> | null = null;
    let drawTimer: ReturnType<typeof setTimeout> | null = null;
    const readState = async () => {
      const next = await getJson<RunView>(runPath(id), signal);
      setRun(next);
      setError(null);
      return next;
    };
    const soon = () => {
      stateTimer ??= setTimeout(() => {
        stateTimer = null;
        readState().catch((reason: unknown) => !signal.aborted && setError(asApiError(reason)));
      }, STATE_MS);
    };
    const draw = () => {
      drawTimer ??= setTimeout(() => {
        drawTimer = null;
        setVersion((n) => n + 1);
      }, DRAW_MS);
    };
    const stream = async (own: EventFeed) => {
      const response = await request(`${runPath(id)}/watch?after=${own.place}`, { signal });
      if (!response.body) throw new ApiError("server", "the stream has no body");
      setLink("live");
      for await (const { id: place, data } of readSse(response.body)) {
        const event = { ...(JSON.parse(data) as Omit<RunEvent, "place">), place: Number(place) };
        if (!own.take(event)) continue;
        draw();
        soon();
      }
    };
    const go = async () => {
      let failures = 0;
      while (!signal.aborted) {
        try {
          const state = await readState();
          if (!feed.current) {
            before.current = Math.max(0, state.events - EVENTS_MAX);
            feed.current = new EventFeed(before.current);
          }
          const own = feed.current;
          if (!isFinal(state.status) || own.place < state.events) await stream(own);
          failures = 0;
          const after = await readState();
          if (!isFinal(after.status)) continue; // the server closed: at once again, from where it was
          setLink("over");
          while (!signal.aborted) {
            await pause(OVER_MS, signal);
            if (!document.hidden && (await readState()).events !== own.place) break;
          }
        } catch (reason) {
          if (signal.aborted) return;
          const why = asApiError(reason);
          setError(why);
          setLink("away");
          if (why.kind === "not_found" || why.kind === "unauthorized") return;
          failures += 1;
          await pause(backoffMs(failures), signal);
        }
      }
    };
    void go();
    return () => {
      abort.abort();
      if (stateTimer) clearTimeout(stateTimer);
      if (drawTimer) clearTimeout(drawTimer);
    };
  }, [id, round, reconnected]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  const none = useRef(new EventFeed(0));
  const own = feed.current ?? none.current;
  return { run, error, link, events: own.events, before: before.current, fold: own.fold, version, reload };
}

/** Events before those that the stream began with. */
export async function earlierEvents(id: string, before: number, count: number): Promise<RunEvent[]> {
  const after = Math.max(0, before - count);
  const page = await getJson<Omit<RunPage, "data"> & { data: RunEvent[] }>(`${runPath(id)}/events?after=${after}&limit=${Math.min(1000, before - after)}`);
  return page.data;
}
