// What the screen shows: the newest entries page by page, or the answer to a question.
import { useCallback, useEffect, useState } from "react";
import { ApiError, getJson, request } from "../api/http";
import type { Answer, Memory, MemoryPage } from "./types";

export interface Asked {
  text: string;
  type: string;
  user: string;
}

export interface Memories {
  entries: Memory[] | null; // without a question
  answer: Answer | null; // with one
  error: ApiError | null;
  more: (() => void) | null;
  reload: () => void;
}

function failure(reason: unknown): ApiError {
  return reason instanceof ApiError ? reason : new ApiError("server", String(reason));
}

async function search({ text, type, user }: Asked, signal: AbortSignal): Promise<Answer> {
  // Looking is no use of a memory: it counts no access.
  const body = { query: text, types: type ? [type] : [], user, explain: true, touch: false, limit: 20 };
  const response = await request("/v1/memories/search", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  return (await response.json()) as Answer;
}

function page({ type, user }: Asked, cursor: string, signal?: AbortSignal): Promise<MemoryPage> {
  const query = new URLSearchParams({ limit: "50" });
  if (type) query.set("type", type);
  if (user) query.set("user", user);
  if (cursor) query.set("cursor", cursor);
  return getJson<MemoryPage>(`/v1/memories?${query}`, signal);
}

export function useMemories({ text, type, user }: Asked): Memories {
  const [entries, setEntries] = useState<Memory[] | null>(null);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [next, setNext] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const [round, setRound] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    const fail = (reason: unknown) => !abort.signal.aborted && setError(failure(reason));
    const asked = { text, type, user };
    if (text) {
      search(asked, abort.signal).then((found) => { setAnswer(found); setError(null); }, fail);
    } else {
      page(asked, "", abort.signal).then((first) => {
        setAnswer(null);
        setEntries(first.data);
        setNext(first.next);
        setError(null);
      }, fail);
    }
    return () => abort.abort();
  }, [text, type, user, round]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  const more = useCallback(() => {
    page({ text, type, user }, next).then(
      (older) => {
        setEntries((before) => [...(before ?? []), ...older.data]);
        setNext(older.next);
      },
      (reason: unknown) => setError(failure(reason)),
    );
  }, [text, type, user, next]);
  return { entries, answer: text ? answer : null, error, more: !text && next ? more : null, reload };
}
