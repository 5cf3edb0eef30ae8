// JSON Schema in the browser: what a form may hold is checked before it is sent, with the same
// keywords as the server's check; what this does not know is left to the server.
import type { Json } from "./types";

export type Schema = boolean | { [name: string]: Json };
type Named = { [name: string]: Json };

export interface Wrong {
  path: string; // JSON pointer
  key: WrongKey;
  values: Record<string, string | number>;
}
export type WrongKey = "type" | "enum" | "const" | "required" | "unknown" | "min" | "max" | "above" | "below" | "multiple" | "short" | "long" | "pattern" | "format" | "few" | "many" | "unique" | "choice" | "never";

const DEPTH_MAX = 64;

export function isObject(value: unknown): value is Named {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function typeOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value === "object" ? "object" : typeof value;
}

export function typesOf(schema: Schema): string[] {
  if (typeof schema === "boolean") return [];
  const { type } = schema;
  return Array.isArray(type) ? type.map(String) : typeof type === "string" ? [type] : [];
}

/** A "$ref" within the same document, followed; another schema as it is. */
export function resolved(schema: Schema, root: Schema): Schema {
  let at = schema;
  for (let hops = 0; hops < DEPTH_MAX && isObject(at) && typeof at.$ref === "string"; hops += 1) {
    const ref = at.$ref;
    if (!ref.startsWith("#")) return true;
    let target: unknown = root;
    for (const part of ref.slice(1).split("/").slice(1)) {
      const name = decodeURIComponent(part).replace(/~1/g, "/").replace(/~0/g, "~");
      target = (target as Record<string, unknown> | undefined)?.[name];
    }
    if (target === undefined) return true;
    at = target as Schema;
  }
  return at;
}

export function same(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, n) => same(each, b[n]!));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => name in b && same(a[name]!, b[name]!));
}

const FORMATS: Record<string, RegExp> = {
  date: /^\d{4}-\d\d-\d\d$/,
  "date-time": /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/,
  email: /^[^\s@]+@[^\s@]+$/,
  uri: /^[a-zA-Z][a-zA-Z0-9+.-]*:\S+$/,
  uuid: /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/,
};

/** Everything that is wrong with a value, by place; empty when it fits. */
export function wrongs(value: Json, schema: Schema, root: Schema = schema): Wrong[] {
  const out: Wrong[] = [];
  check(value, schema, { root, out, depth: 0 }, "");
  return out;
}

interface Walk {
  root: Schema;
  out: Wrong[];
  depth: number;
}

const fits = (value: Json, schema: Schema, walk: Walk) => {
  const out: Wrong[] = [];
  check(value, schema, { ...walk, out }, "");
  return out.length === 0;
};

function check(value: Json, unresolved: Schema, walk: Walk, path: string): void {
  if (walk.depth > DEPTH_MAX) return;
  const inner = { ...walk, depth: walk.depth + 1 };
  const schema = resolved(unresolved, walk.root);
  const say = (key: WrongKey, values: Record<string, string | number> = {}) => walk.out.push({ path, key, values });
  if (schema === false) return void say("never");
  if (!isObject(schema)) return;

  const types = typesOf(schema);
  const type = typeOf(value);
  if (types.length && !types.includes(type) && !(type === "integer" && types.includes("number"))) {
    return void say("type", { wanted: types.join(", "), found: type });
  }
  if (Array.isArray(schema.enum) && !schema.enum.some((each) => same(each, value))) say("enum", { values: schema.enum.map((each) => JSON.stringify(each)).join(", ") });
  if ("const" in schema && !same(schema.const!, value)) say("const", { value: JSON.stringify(schema.const) });
  if (typeof value === "number") checkNumber(value, schema, say);
  if (typeof value === "string") checkText(value, schema, say);
  if (Array.isArray(value)) checkList(value, schema, inner, path, say);
  if (isObject(value)) checkObject(value, schema, inner, path);

  const list = (name: string) => (Array.isArray(schema[name]) ? (schema[name] as Schema[]) : []);
  for (const each of list("allOf")) check(value, each, inner, path);
  if (list("anyOf").length && !list("anyOf").some((each) => fits(value, each, inner))) say("choice");
  if (list("oneOf").length && list("oneOf").filter((each) => fits(value, each, inner)).length !== 1) say("choice");
  if (schema.not !== undefined && fits(value, schema.not as Schema, inner)) say("never");
  if (schema.if !== undefined) {
    const then = fits(value, schema.if as Schema, inner) ? schema.then : schema.else;
    if (then !== undefined) check(value, then as Schema, inner, path);
  }
}

type Say = (key: WrongKey, values?: Record<string, string | number>) => unknown;

function checkNumber(value: number, schema: Named, say: Say): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  if (typeof minimum === "number" && value < minimum) say("min", { n: minimum });
  if (typeof maximum === "number" && value > maximum) say("max", { n: maximum });
  if (typeof exclusiveMinimum === "number" && value <= exclusiveMinimum) say("above", { n: exclusiveMinimum });
  if (typeof exclusiveMaximum === "number" && value >= exclusiveMaximum) say("below", { n: exclusiveMaximum });
  if (typeof multipleOf === "number" && multipleOf > 0) {
    const times = value / multipleOf;
    if (Math.abs(times - Math.round(times)) > 1e-9 * Math.max(1, Math.abs(times))) say("multiple", { n: multipleOf });
  }
}

function checkText(value: string, schema: Named, say: Say): void {
  const length = [...value].length;
  if (typeof schema.minLength === "number" && length < schema.minLength) say("short", { n: schema.minLength });
  if (typeof schema.maxLength === "number" && length > schema.maxLength) say("long", { n: schema.maxLength });
  if (typeof schema.pattern === "string") {
    try {
      if (!new RegExp(schema.pattern, "u").test(value)) say("pattern", { pattern: schema.pattern });
    } catch {
      // An expression of another dialect: the server's to judge.
    }
  }
  const format = typeof schema.format === "string" ? FORMATS[schema.format] : undefined;
  if (format && !format.test(value)) say("format", { format: String(schema.format) });
}

function checkList(value: Json[], schema: Named, walk: Walk, path: string, say: Say): void {
  if (typeof schema.minItems === "number" && value.length < schema.minItems) say("few", { n: schema.minItems });
  if (typeof schema.maxItems === "number" && value.length > schema.maxItems) say("many", { n: schema.maxItems });
  if (schema.uniqueItems === true && value.some((each, n) => value.slice(0, n).some((before) => same(before, each)))) say("unique");
  const prefix = Array.isArray(schema.prefixItems) ? schema.prefixItems : Array.isArray(schema.items) ? schema.items : [];
  value.forEach((each, n) => {
    const own = prefix[n] ?? (Array.isArray(schema.items) ? schema.additionalItems : schema.items);
    if (own !== undefined) check(each, own as Schema, walk, `${path}/${n}`);
  });
}

function checkObject(value: Named, schema: Named, walk: Walk, path: string): void {
  const at = (name: string) => `${path}/${name.replace(/~/g, "~0").replace(/\//g, "~1")}`;
  const properties = isObject(schema.properties) ? schema.properties : {};
  const patterns = isObject(schema.patternProperties) ? Object.keys(schema.patternProperties) : [];
  for (const name of Array.isArray(schema.required) ? schema.required.map(String) : []) {
    if (!(name in value)) walk.out.push({ path: at(name), key: "required", values: {} });
  }
  for (const [name, each] of Object.entries(value)) {
    if (Object.hasOwn(properties, name)) check(each, properties[name] as Schema, walk, at(name));
    else if (patterns.length === 0 && schema.additionalProperties === false) walk.out.push({ path: at(name), key: "unknown", values: {} });
    else if (patterns.length === 0 && isObject(schema.additionalProperties)) check(each, schema.additionalProperties, walk, at(name));
  }
}

/** What a form begins with: defaults, and nothing where the schema says none. */
export function defaultOf(unresolved: Schema, root: Schema): Json | undefined {
  const schema = resolved(unresolved, root);
  if (!isObject(schema)) return undefined;
  if ("default" in schema) return schema.default;
  if (typesOf(schema)[0] !== "object" && !isObject(schema.properties)) return undefined;
  const out: Named = {};
  for (const [name, each] of Object.entries(isObject(schema.properties) ? schema.properties : {})) {
    const value = defaultOf(each as Schema, root);
    if (value !== undefined) out[name] = value;
  }
  return out;
}

/** How a field of a form is drawn; "json" where no simple field says it all. */
export type FieldKind = "text" | "long" | "number" | "integer" | "boolean" | "choice" | "list" | "object" | "json";

export function fieldKind(unresolved: Schema, root: Schema, depth = 0): FieldKind {
  const schema = resolved(unresolved, root);
  if (!isObject(schema) || depth > 6) return "json";
  if (Array.isArray(schema.enum)) return "choice";
  if (schema.anyOf || schema.oneOf || schema.allOf) return "json";
  const types = typesOf(schema).filter((type) => type !== "null");
  const [type] = types;
  if (types.length > 1) return "json";
  if (isObject(schema.properties) && (type === undefined || type === "object")) return Object.keys(schema.properties).length ? "object" : "json";
  if (type === "string") return schema.format === "textarea" || Number(schema.maxLength ?? 0) > 200 ? "long" : "text";
  if (type === "number" || type === "integer" || type === "boolean") return type;
  if (type === "array" && schema.items !== undefined && !Array.isArray(schema.items)) return "list";
  return "json";
}
