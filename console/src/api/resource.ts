// A GET kept in memory: a screen shows what is known at once and refreshes behind it.
import { useCallback, useEffect, useState } from "react";
import { useStore } from "../app/store";
import { ApiError, getJson } from "./http";
import { reconnects } from "./reconnects";

export interface Resource<T> {
  data: T | null;
  error: ApiError | null;
  reload(): void;
}

const known = new Map<string, unknown>();

export function useResource<T>(path: string): Resource<T> {
  const [, redraw] = useState(0);
  const [error, setError] = useState<ApiError | null>(null);
  const [round, setRound] = useState(0);
  const reconnected = useStore(reconnects);

  useEffect(() => {
    const abort = new AbortController();
    getJson<T>(path, abort.signal).then(
      (data) => {
        known.set(path, data);
        setError(null);
        redraw((n) => n + 1);
      },
      (reason: unknown) => {
        if (abort.signal.aborted) return;
        setError(reason instanceof ApiError ? reason : new ApiError("server", String(reason)));
      },
    );
    return () => abort.abort();
  }, [path, round, reconnected]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  return { data: (known.get(path) as T | undefined) ?? null, error, reload };
}
