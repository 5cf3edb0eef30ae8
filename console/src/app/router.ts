// Hash routes: `#/requests/abc?status=error`. The server then needs to know no console paths, and a
// link can be opened, sent and reloaded.
import { createStore, useStore } from "./store";

export interface Route {
  screen: string;
  id: string | null;
  query: Record<string, string>;
}

export const HOME = "chat";

export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [screen = "", ...rest] = path.split("/");
  const id = rest.join("/");
  return {
    screen: screen || HOME,
    id: id ? safeDecode(id) : null,
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

export function formatRoute(route: Partial<Route> & { screen: string }): string {
  const id = route.id ? `/${encodeURIComponent(route.id)}` : "";
  const query = Object.entries(route.query ?? {}).filter(([, value]) => value !== "");
  const search = query.length ? `?${new URLSearchParams(query)}` : "";
  return `#/${route.screen}${id}${search}`;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a hand-typed "%" is not worth a crash
  }
}

export const routeStore = createStore<Route>(parseRoute(globalThis.location?.hash ?? ""));

export function useRoute(): Route {
  return useStore(routeStore);
}

export function navigate(route: Partial<Route> & { screen: string }, how?: "replace"): void {
  const hash = formatRoute(route);
  if (hash === location.hash) return;
  if (how === "replace") {
    history.replaceState(null, "", hash);
    routeStore.set(parseRoute(hash));
  } else {
    location.hash = hash;
  }
}

export function startRouter(): void {
  addEventListener("hashchange", () => routeStore.set(parseRoute(location.hash)));
}
