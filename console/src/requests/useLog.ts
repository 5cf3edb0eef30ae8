// Loads the request log: first page at once, the head again whenever the feed shows that requests
// came in, older pages when the reader scrolls there.
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, getJson } from "../api/http";
import type { RequestRecord } from "../api/types";
import { reconnects } from "../api/reconnects";
import { useSelect, useStore } from "../app/store";
import { feedStore, type Feed } from "../live/feed";
import { mergeHead, mergeOlder, type LogState, type Page } from "./log";

const PAGE = 100;

const activityOf = (feed: Feed) => {
  const last = feed.samples[feed.samples.length - 1];
  return last ? `${last.requests_total}/${last.running}/${last.queued}/${last.errors_total}` : "";
};

export interface Log {
  records: RequestRecord[] | null;
  error: ApiError | null;
  more: boolean; // older ones exist
  loadOlder: () => void;
  reload: () => void;
}

let kept: LogState | null = null; // between visits

export function useLog(tail: boolean): Log {
  const [state, setState] = useState<LogState | null>(kept);
  const [error, setError] = useState<ApiError | null>(null);
  const [round, setRound] = useState(0);
  const loading = useRef(false);
  const activity = useSelect(feedStore, activityOf);
  const signal = tail ? activity : "";
  const reconnected = useStore(reconnects);
  const next = state?.next ?? null;

  useEffect(() => {
    const abort = new AbortController();
    getJson<Page>(`/admin/v1/requests?limit=${PAGE}`, abort.signal).then(
      (page) => {
        setState((before) => mergeHead(before, page));
        setError(null);
      },
      (reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)),
    );
    return () => abort.abort();
  }, [round, signal, reconnected]);

  useEffect(() => {
    kept = state;
  }, [state]);

  const loadOlder = useCallback(() => {
    if (!next || loading.current) return;
    loading.current = true;
    getJson<Page>(`/admin/v1/requests?limit=${PAGE}&before=${encodeURIComponent(next)}`)
      .then(
        (page) => setState((before) => mergeOlder(before, page)),
        // The server dropped the row that older ones were asked from: this is the end of its log.
        () => setState((before) => before && { ...before, next: null }),
      )
      .finally(() => (loading.current = false));
  }, [next]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  return { records: state?.records ?? null, error, more: next !== null, loadOlder, reload };
}

function asApiError(reason: unknown): ApiError {
  return reason instanceof ApiError ? reason : new ApiError("server", String(reason));
}
