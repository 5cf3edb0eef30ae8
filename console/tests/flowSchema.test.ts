import { describe, expect, it } from "vitest";
import { defaultOf, fieldKind, wrongs, type Schema } from "../src/flows/schema";
import type { Json } from "../src/flows/types";

const keys = (value: Json, schema: Schema) => wrongs(value, schema).map((wrong) => `${wrong.path} ${wrong.key}`);

describe("forms from JSON Schema", () => {
  const order: Schema = {
    type: "object",
    properties: {
      item: { type: "string", minLength: 2, pattern: "^[a-z]+$" },
      cents: { type: "integer", minimum: 1, multipleOf: 5 },
      tags: { type: "array", items: { $ref: "#/$defs/tag" }, maxItems: 2, uniqueItems: true },
      size: { enum: ["s", "m"], default: "s" },
      note: { type: ["string", "null"] },
    },
    required: ["item", "cents"],
    additionalProperties: false,
    $defs: { tag: { type: "string", maxLength: 3 } },
  };

  it("lets through what fits", () => {
    expect(keys({ item: "book", cents: 10, tags: ["a"], note: null }, order)).toEqual([]);
    expect(keys(3, { type: "number" })).toEqual([]);
    expect(keys("x", true)).toEqual([]);
  });

  it("says what is wrong, where", () => {
    expect(keys({ item: "B", cents: 7.5, more: 1 }, order)).toEqual(["/item short", "/item pattern", "/cents type", "/more unknown"]);
    expect(keys({ item: "book", cents: 3, tags: ["long", "a", "a"] }, order)).toEqual(["/cents multiple", "/tags many", "/tags unique", "/tags/0 long"]);
    expect(keys({}, order)).toEqual(["/item required", "/cents required"]);
    expect(keys({ a: 1 }, { properties: { "a": { const: 2 } } })).toEqual(["/a const"]);
    expect(keys(5, { oneOf: [{ minimum: 1 }, { maximum: 9 }] })).toEqual([" choice"]);
    expect(keys({ kind: "a" }, { if: { properties: { kind: { const: "a" } } }, then: { required: ["b"] } })).toEqual(["/b required"]);
    expect(keys("2026-13", { format: "date" })).toEqual([" format"]);
    expect(keys(1, { not: { type: "integer" } })).toEqual([" never"]);
  });

  it("does not loop for ever in a schema that refers to itself", () => {
    const self: Schema = { $ref: "#" };
    expect(keys(1, self)).toEqual([]);
    const tree: Schema = { type: "object", properties: { next: { $ref: "#" } } };
    expect(keys({ next: { next: { next: 5 } } }, tree)).toEqual(["/next/next/next type"]);
  });

  it("begins with defaults and draws each field as what it is", () => {
    expect(defaultOf(order, order)).toEqual({ size: "s" });
    const kind = (name: string) => fieldKind((order as { properties: Record<string, Schema> }).properties[name]!, order);
    expect(["item", "cents", "tags", "size", "note"].map(kind)).toEqual(["text", "integer", "list", "choice", "text"]);
    expect(fieldKind({ anyOf: [{ type: "string" }] }, true)).toBe("json");
    expect(fieldKind(order, order)).toBe("object");
  });
});
