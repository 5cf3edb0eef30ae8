// Figures under an answer. The server's measurements win; what it does not tell is measured here.
import type { ChatEnd } from "../api/chat";
import type { Timings } from "../api/types";
import type { AnswerStats } from "./conversation";

export interface Clocked {
  sent_ms: number;
  first_ms: number | null; // first piece of text
  last_ms: number | null;
  pieces: number;
}

function firstNumber(timings: Timings | null, names: string[]): number | null {
  for (const name of names) {
    const value = timings?.[name];
    if (typeof value === "number" && Number.isFinite(value)) return value;
  }
  return null;
}

/** Tokens after the first over the time they took: the wait before the first is TTFT's. */
function measuredRate(clock: Clocked, tokens: number | null): number | null {
  if (clock.first_ms === null || clock.last_ms === null || tokens === null || tokens < 2) return null;
  const ms = clock.last_ms - clock.first_ms;
  return ms > 0 ? ((tokens - 1) * 1000) / ms : null;
}

export function answerStats(end: ChatEnd | null, clock: Clocked): AnswerStats {
  const usage = end?.usage ?? null;
  const timings = end?.timings ?? null;
  // A cut answer has no usage; most servers send one piece a token, so pieces is a close count.
  const tokens = usage?.completion_tokens ?? (clock.pieces > 0 ? clock.pieces : null);
  return {
    ttft_ms: firstNumber(timings, ["ttft_ms"]) ?? (clock.first_ms === null ? null : clock.first_ms - clock.sent_ms),
    total_ms: firstNumber(timings, ["total_ms"]) ?? (clock.last_ms === null ? null : clock.last_ms - clock.sent_ms),
    tokens_per_s:
      firstNumber(timings, ["tokens_per_s", "decode_tokens_per_s"]) ?? measuredRate(clock, tokens),
    prompt_tokens: usage?.prompt_tokens ?? null,
    cached_tokens: usage?.prompt_tokens_details?.cached_tokens ?? firstNumber(timings, ["cached_tokens"]),
    completion_tokens: tokens,
  };
}
