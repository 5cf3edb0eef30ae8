// Ranges the OpenAI API gives its sampling parameters.
export type NumberParam = "temperature" | "top_p" | "max_tokens" | "seed";

export const paramRanges: Record<NumberParam, { min: number; max: number; step: number }> = {
  temperature: { min: 0, max: 2, step: 0.1 },
  top_p: { min: 0, max: 1, step: 0.05 },
  max_tokens: { min: 1, max: 1_000_000, step: 1 },
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
};

/** What a field holds, brought into range; null for an empty or unreadable one. */
export function parseParam(name: NumberParam, text: string): number | null {
  const value = Number(text);
  if (!text.trim() || !Number.isFinite(value)) return null;
  const { min, max, step } = paramRanges[name];
  const whole = step === 1 ? Math.round(value) : value;
  return Math.min(max, Math.max(min, whole));
}
