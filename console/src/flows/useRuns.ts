// The list of runs, live: the first page at once, older ones when the reader comes there; whenever
// anything happened on the server, the head, what is in view and the counts are asked for again.
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, asApiError, getJson } from "../api/http";
import { reconnects } from "../api/reconnects";
import { useStore } from "../app/store";
import { mergePage, type RunList } from "./runList";
import type { RunCounts, RunHead, RunPage } from "./types";

const HEAD = 100;
const PAGE = 1000;
const TICK_MS = 2000;
const NEW_MAX = 5000; // over it the list begins anew

export interface Runs {
  list: RunList | null;
  counts: RunCounts | null;
  error: ApiError | null;
  loadOlder: () => void;
  setView: (first: number, last: number) => void;
  refresh: () => void;
}

let kept: { query: string; list: RunList; counts: RunCounts | null } | null = null; // between visits

const pagePath = (query: string, after: string | null, limit: number) =>
  `/v1/runs?${query}${query ? "&" : ""}limit=${limit}${after ? `&after=${after}` : ""}`;

/** The newest runs down to those that are known, as one page. */
async function newest(query: string, known: RunList | null, signal: AbortSignal): Promise<RunPage> {
  const first = known?.rows[0]?.id;
  const all: RunHead[] = [];
  for (;;) {
    const page = await getJson<RunPage>(pagePath(query, all[all.length - 1]?.id ?? null, all.length ? PAGE : HEAD), signal);
    all.push(...page.data);
    const last = all[all.length - 1]?.id;
    const met = first === undefined || !page.has_more || (last !== undefined && last <= first);
    if (met || all.length > NEW_MAX) return { data: all, has_more: page.has_more };
  }
}

export function useRuns(query: string, live: boolean): Runs {
  const [list, setList] = useState<RunList | null>(kept?.query === query ? kept.list : null);
  const [counts, setCounts] = useState<RunCounts | null>(kept?.query === query ? kept.counts : null);
  const [error, setError] = useState<ApiError | null>(null);
  const [round, setRound] = useState(0);
  const reconnected = useStore(reconnects);
  const loading = useRef(false);
  const view = useRef({ first: 0, last: 0 });
  const now = useRef(list);
  now.current = list;

  const refreshOnce = useCallback(async (signal: AbortSignal) => {
    const known = now.current;
    const { first, last } = view.current;
    const above = first > HEAD / 2 ? known?.rows[first - 1]?.id : undefined;
    const [head, window, counted] = await Promise.all([
      newest(query, known, signal),
      above ? getJson<RunPage>(pagePath(query, above, Math.min(1000, last - first + 20)), signal) : null,
      getJson<RunCounts>(`/v1/runs/counts?${query}`, signal).catch((reason: unknown) => {
        if (asApiError(reason).kind === "not_found") return null;
        throw reason;
      }),
    ]);
    const grew = head.data.length > NEW_MAX;
    setList((before) => {
      let next = mergePage(grew || !before ? { rows: [], end: false } : before, null, head);
      if (window && above && !grew) next = mergePage(next, above, window);
      return next;
    });
    setCounts(counted);
    setError(null);
  }, [query]);

  useEffect(() => {
    if (kept?.query !== query) {
      setList(null);
      setCounts(null);
      now.current = null;
    }
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    let heard = -1;
    const tick = async () => {
      try {
        const { events } = document.hidden ? { events: heard } : await getJson<{ events: number }>("/v1/flow", abort.signal);
        if (events !== heard) await refreshOnce(abort.signal);
        heard = events;
      } catch (reason) {
        if (abort.signal.aborted) return;
        setError(asApiError(reason));
        heard = -1;
      }
      if (live && !abort.signal.aborted) timer = setTimeout(() => void tick(), TICK_MS);
    };
    void tick();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [query, live, round, reconnected, refreshOnce]);

  useEffect(() => {
    if (list) kept = { query, list, counts };
  }, [query, list, counts]);

  const loadOlder = useCallback(() => {
    const known = now.current;
    const last = known?.rows[known.rows.length - 1];
    if (!known || !last || known.end || loading.current) return;
    loading.current = true;
    getJson<RunPage>(pagePath(query, last.id, PAGE))
      .then((page) => setList((before) => (before && before === now.current ? mergePage(before, last.id, page) : before)))
      .catch((reason: unknown) => setError(asApiError(reason)))
      .finally(() => (loading.current = false));
  }, [query]);
  const setView = useCallback((first: number, last: number) => void (view.current = { first, last }), []);
  const refresh = useCallback(() => setRound((n) => n + 1), []);
  return { list, counts, error, loadOlder, setView, refresh };
}
