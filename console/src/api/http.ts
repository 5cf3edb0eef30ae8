// One door to the server. A failure becomes an ApiError whose kind says what a person can do.
import { loadText, saveText } from "../app/storage";

export type ErrorKind = "offline" | "unauthorized" | "not_found" | "busy" | "too_long" | "bad_request" | "server";

export class ApiError extends Error {
  constructor(
    readonly kind: ErrorKind,
    message: string,
    readonly status = 0,
  ) {
    super(message);
  }
}

export function kindOf(status: number, code = ""): ErrorKind {
  if (code === "context_length_exceeded") return "too_long";
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 404) return "not_found";
  if (status === 429 || status === 503) return "busy";
  return status >= 500 ? "server" : "bad_request";
}

/** An OpenAI-shaped error body as an error that keeps the server's own words; of another body, such
 *  as a proxy's page, a part. */
export function errorFrom(status: number, body: string): ApiError {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown; code?: unknown } };
    if (typeof error?.message === "string") {
      return new ApiError(kindOf(status, String(error.code ?? "")), error.message, status);
    }
  } catch {
    // Not JSON.
  }
  return new ApiError(kindOf(status), body.trim().slice(0, 200) || `HTTP ${status}`, status);
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
  throw errorFrom(response.status, body);
}

/** POST as JSON; gives the answer's JSON. */
export async function postJson<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const response = await request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: body === undefined ? "" : JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  return (await response.json()) as T;
}

export function asApiError(reason: unknown): ApiError {
  return reason instanceof ApiError ? reason : new ApiError("server", String(reason));
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {});
  return (await response.json()) as T;
}
