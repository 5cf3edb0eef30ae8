// A step's own part of a definition as it was read.
import { isObject } from "./schema";
import type { Json } from "./types";

/** The object that holds `id` among steps, at any depth; undefined where ids were made. */
export function stepOf(document: Json | undefined, id: string): Json | undefined {
  if (Array.isArray(document)) {
    for (const each of document) {
      const found = stepOf(each, id);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isObject(document)) return undefined;
  if (document.id === id) return document;
  for (const [name, each] of Object.entries(document)) {
    if (name === "input" || name === "output" || name === "labels") continue;
    const found = stepOf(each, id);
    if (found !== undefined) return found;
  }
  return undefined;
}
