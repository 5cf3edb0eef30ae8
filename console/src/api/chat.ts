// One streamed chat completion: POST, then deltas as they come, then how it ended.
import { ApiError, request } from "./http";
import { readSse } from "./sse";
import type { ChatChunk, Timings, Usage } from "./types";

export interface ChatParams {
  model: string;
  temperature: number | null;
  top_p: number | null;
  max_tokens: number | null;
  seed: number | null;
  system: string;
}

export interface WireMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface ChatEnd {
  finish: string;
  usage: Usage | null;
  timings: Timings | null;
  requestId: string | null;
}

/** The request body. Fields left empty are not sent: the server's defaults are the defaults. */
export function chatBody(params: ChatParams, history: WireMessage[]): Record<string, unknown> {
  const messages: WireMessage[] = params.system.trim()
    ? [{ role: "system", content: params.system }, ...history]
    : history;
  const body: Record<string, unknown> = {
    model: params.model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  };
  for (const key of ["temperature", "top_p", "max_tokens", "seed"] as const) {
    if (params[key] !== null) body[key] = params[key];
  }
  return body;
}

export async function streamChat(
  body: Record<string, unknown>,
  onDelta: (text: string) => void,
  signal: AbortSignal,
): Promise<ChatEnd> {
  const response = await request("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  const end: ChatEnd = { finish: "", usage: null, timings: null, requestId: response.headers.get("x-request-id") };
  if (!response.body) throw new ApiError("server", "the answer has no body");
  for await (const event of readSse(response.body)) {
    if (event.data === "[DONE]") return end;
    const chunk = parseChunk(event.data);
    if (chunk.error) throw new ApiError("server", chunk.error.message ?? "the stream failed");
    const choice = chunk.choices?.[0];
    if (choice?.delta?.content) onDelta(choice.delta.content);
    if (choice?.finish_reason) end.finish = choice.finish_reason;
    if (chunk.usage) end.usage = chunk.usage;
    if (chunk.timings) end.timings = chunk.timings;
  }
  if (!end.finish) throw new ApiError("offline", "the connection closed before the answer ended");
  return end;
}

function parseChunk(data: string): ChatChunk {
  try {
    return JSON.parse(data) as ChatChunk;
  } catch {
    throw new ApiError("server", `the stream holds something that is not JSON: ${data.slice(0, 80)}`);
  }
}
