// Reads a model card's details, whose keys the server's build decides: the known ones get a place and
// a unit, the rest is shown as it came.
import { formatBytes, formatCount } from "../ui/format";
import type { ModelEntry } from "../api/types";

export interface Shown {
  key: string;
  text: string;
}

const SIZE_KEYS = ["parameters", "layers", "dim", "heads", "kv_heads", "head_dim", "ffn_dim", "vocab_size"];
const LONG_CHARS = 160;

export function scalarText(key: string, value: unknown): string {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value === "number") {
    if (key.endsWith("_bytes")) return formatBytes(value);
    return key === "parameters" ? `${formatCount(value)} (${value.toLocaleString("en-US")})` : value.toLocaleString("en-US");
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function text(model: ModelEntry, key: string): string {
  return scalarText(key, model.details[key]);
}

export function shapeOf(model: ModelEntry): Shown[] {
  return SIZE_KEYS.map((key) => ({ key, text: text(model, key) })).filter((row) => row.text);
}

/** Long texts (the chat template) get a block of their own. */
export function longTexts(model: ModelEntry): Shown[] {
  return Object.entries(model.details)
    .filter(([, value]) => typeof value === "string" && (value.length > LONG_CHARS || value.includes("\n")))
    .map(([key, value]) => ({ key, text: value as string }));
}

const PLACED = new Set([...SIZE_KEYS, "name", "architecture", "quantization", "license", "file_bytes", "kind", "context_tokens", "embedding_dim"]);

export function otherDetails(model: ModelEntry): Shown[] {
  const long = new Set(longTexts(model).map((row) => row.key));
  return Object.entries(model.details)
    .filter(([key]) => !PLACED.has(key) && !long.has(key))
    .map(([key, value]) => ({ key, text: scalarText(key, value) }))
    .filter((row) => row.text);
}
