// One door to the server. A failure becomes an ApiError whose kind says what a person can do.
import { loadText, saveText } from "../app/storage";

export type ErrorKind = "offline" | "unauthorized" | "not_found" | "busy" | "bad_request" | "server";

export class ApiError extends Error {
  constructor(
    readonly kind: ErrorKind,
    message: string,
    readonly status = 0,
  ) {
    super(message);
  }
}

export function kindOfStatus(status: number): ErrorKind {
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 404) return "not_found";
  if (status === 429 || status === 503) return "busy";
  return status >= 500 ? "server" : "bad_request";
}

/** The server's own words out of an OpenAI-shaped error body, else a part of the body. */
export function errorMessage(body: string, status: number): string {
  try {
    const parsed = JSON.parse(body) as { error?: { message?: unknown } };
    if (typeof parsed.error?.message === "string") return parsed.error.message;
  } catch {
    // Not JSON: perhaps a proxy's page.
  }
  return body.trim().slice(0, 200) || `HTTP ${status}`;
}

export const apiKey = {
  get: () => loadText("api_key") ?? "",
  set: (key: string) => saveText("api_key", key || null),
};

/** Relative to the page, so that the console also works below a path that a proxy adds. */
function urlOf(path: string): URL {
  return new URL(`.${path}`, document.baseURI);
}

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (apiKey.get()) headers.set("Authorization", `Bearer ${apiKey.get()}`);
  let response: Response;
  try {
    response = await fetch(urlOf(path), { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError("offline", String(error));
  }
  if (response.ok) return response;
  const body = await response.text().catch(() => "");
  throw new ApiError(kindOfStatus(response.status), errorMessage(body, response.status), response.status);
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {});
  return (await response.json()) as T;
}
