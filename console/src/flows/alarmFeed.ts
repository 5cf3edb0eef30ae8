// What fires, asked for once for the screen and the rail. Small: it is loaded with the page.
import { useEffect } from "react";
import { ApiError, asApiError, getJson } from "../api/http";
import { createStore } from "../app/store";
import type { AlarmList } from "./alarms";

const TICK_MS = 3000;
const REST_MS = 15_000; // where only the rail looks

export const alarmStore = createStore<{ list: AlarmList | null; error: ApiError | null }>({ list: null, error: null });
let watchers = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let rails = 0;

export async function refreshAlarms(): Promise<void> {
  try {
    alarmStore.set({ list: await getJson<AlarmList>("/v1/alarms"), error: null });
  } catch (reason) {
    alarmStore.set(({ list }) => ({ list, error: asApiError(reason) }));
  }
}

function plan(): void {
  clearTimeout(timer);
  if (watchers + rails === 0) return;
  timer = setTimeout(() => void (document.hidden ? Promise.resolve() : refreshAlarms()).then(plan), watchers > 0 ? TICK_MS : REST_MS);
}

/** Asks again and again while something shows it. `close`: the screen itself, not the rail. A server
 *  without workflows is asked once. */
export function useAlarms(close: boolean): void {
  useEffect(() => {
    if (close) watchers += 1;
    else rails += 1;
    const { error } = alarmStore.get();
    if (close || !error) void refreshAlarms().then(() => (close || !alarmStore.get().error ? plan() : undefined));
    return () => {
      if (close) watchers -= 1;
      else rails -= 1;
      plan();
    };
  }, [close]);
}
