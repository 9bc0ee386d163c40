// JSON that loses nothing a peer could mean: u64 ids arrive as bigint, numbers keep their kind where that matters.
//
//   parseJson           integers outside ±(2^53 − 1) → bigint, all other numbers → number, objects → plain objects
//   parseJsonLossless   objects → Map (key order of the text, also for keys like "10"), 1.0 stays distinct from 1
//   stringifyJson       writes either form back; bigint → digits
//
// Cutting a message open without decoding it is json-splice.ts.
//
// I1  What serde_json (every Rust peer) refuses is refused: invalid UTF-8, a BOM, lone surrogate escapes, raw control
//     characters, numbers beyond f64, nesting deeper than 128. So nothing passes here that kills a message further on.
// I2  A duplicate member: the last value wins at the first one's place (serde_json::Value), or an error on request.
// I3  `__proto__` is a member like any other; it never touches a prototype.
// I4  Lone surrogates in our own strings are written as U+FFFD, because readers refuse the escape (I1).
// I5  Integers outside u64 ∪ i64 become f64, as in serde_json; also `-0`.
import { AppError } from "./errors.ts";
import { JsonFloat, JsonParser } from "./json-parser.ts";

export { JsonFloat } from "./json-parser.ts";

export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | { [key: string]: JsonValue };

export type LosslessJson = null | boolean | number | bigint | string | JsonFloat | LosslessJson[] | Map<string, LosslessJson>;

export interface JsonLimits {
  /** Nesting of arrays and objects; default 128, serde_json's recursion limit. */
  readonly depthMax?: number;
  /** Bytes (UTF-16 units when a string is parsed); default 64 MiB, the largest frame we take. */
  readonly bytesMax?: number;
  /** What a repeated member does; default "last". */
  readonly duplicates?: "last" | "error";
}

const bytesMaxDefault = 64 * 1024 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses one JSON text.
 *
 * @throws AppError `protocol_error` with `details.offset` (UTF-16 units) for whatever is no JSON or exceeds a limit
 */
export function parseJson(text: string | Uint8Array, limits: JsonLimits = {}): JsonValue {
  return new JsonParser(textOf(text, limits), limits, false).document() as JsonValue;
}

/** As `parseJson`, but objects become Maps and floats keep their text. */
export function parseJsonLossless(text: string | Uint8Array, limits: JsonLimits = {}): LosslessJson {
  return new JsonParser(textOf(text, limits), limits, true).document() as LosslessJson;
}

/**
 * Compact JSON of plain values, Maps, JsonFloat, and typed arrays (as arrays of integers).
 * Members that are undefined are left out; NaN and infinities become null, as serde_json writes them.
 */
export function stringifyJson(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "number":
      return Number.isFinite(value) ? numberText(value) : "null";
    case "bigint":
      return value.toString();
    case "boolean":
      return value ? "true" : "false";
    case "object":
      return value === null ? "null" : stringifyObject(value);
    default:
      return "null";
  }
}

export function stringifyJsonLossless(value: LosslessJson): string {
  return stringifyJson(value);
}

function stringifyObject(value: object): string {
  if (Array.isArray(value)) return stringifyItems(value);
  if (value instanceof Map) return stringifyMembers(value);
  if (value instanceof JsonFloat) return value.text;
  if (ArrayBuffer.isView(value)) return `[${(value as unknown as Uint32Array).join(",")}]`;
  return stringifyMembers(Object.entries(value));
}

function stringifyItems(items: readonly unknown[]): string {
  let text = "[";
  for (let i = 0; i < items.length; i++) text += i === 0 ? stringifyJson(items[i]) : `,${stringifyJson(items[i])}`;
  return `${text}]`;
}

function stringifyMembers(members: Iterable<[string, unknown]>): string {
  let text = "";
  for (const [name, member] of members) {
    if (member === undefined) continue;
    text += `${text === "" ? "" : ","}${quote(name)}:${stringifyJson(member)}`;
  }
  return `{${text}}`;
}

function quote(text: string): string {
  return JSON.stringify(text.isWellFormed() ? text : text.toWellFormed());
}

/** A double outside ±(2^53 − 1) must not read as an integer, nor -0 as 0. */
function numberText(value: number): string {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? "-0.0" : value.toString();
  const text = value.toString();
  return Number.isInteger(value) && !text.includes("e") ? `${text}.0` : text;
}

function textOf(input: string | Uint8Array, limits: JsonLimits): string {
  const bytesMax = limits.bytesMax ?? bytesMaxDefault;
  if (input.length > bytesMax) throw new AppError("protocol_error", `JSON of ${input.length} bytes exceeds the limit of ${bytesMax}`);
  if (typeof input === "string") return input;
  try {
    return utf8.decode(input);
  } catch (cause) {
    throw new AppError("protocol_error", "JSON is not valid UTF-8", { cause });
  }
}
