// Cuts a JSON object open at its top level without decoding it, so that a message can pass through with a member changed.
//
//   {"token_ids":[…],"routing":{…},"extra_args":{…}}
//    ▲ name           ▲───── ▲ span of the value        every byte outside a changed span stays as it came
//
// I1  Only the structure of the top level is checked (brackets, strings, commas). The values are the receiver's to judge.
// I2  Of a repeated member the last one counts, as in parseJson.
import { Buffer } from "node:buffer";
import { AppError } from "./errors.ts";
import { parseJson, stringifyJson } from "./json.ts";

/** Byte range [start, end) of a member's value. */
export interface MemberSpan {
  readonly start: number;
  readonly end: number;
}

const quoteByte = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * Where the value of each top-level member lies.
 *
 * @param json UTF-8 bytes of one JSON object, white space around it allowed
 * @throws AppError `protocol_error` when the bytes are no object
 */
export function memberSpans(json: Uint8Array): Map<string, MemberSpan> {
  const bytes = bufferOf(json);
  const spans = new Map<string, MemberSpan>();
  let at = skipSpace(bytes, 0);
  if (bytes[at] !== openBrace) fail(at, "expected an object");
  at = skipSpace(bytes, at + 1);
  if (bytes[at] !== closeBrace) {
    for (;;) {
      const nameEnd = skipString(bytes, at);
      const name = nameOf(bytes.subarray(at, nameEnd));
      at = skipSpace(bytes, nameEnd);
      if (bytes[at] !== colon) fail(at, "expected :");
      const start = skipSpace(bytes, at + 1);
      const end = skipValue(bytes, start);
      spans.set(name, { start, end });
      at = skipSpace(bytes, end);
      if (bytes[at] !== comma) break;
      at = skipSpace(bytes, at + 1);
    }
    if (bytes[at] !== closeBrace) fail(at, "expected , or }");
  }
  if (skipSpace(bytes, at + 1) !== bytes.length) fail(at + 1, "bytes after the object");
  return spans;
}

/**
 * The same object with some top-level members replaced, or appended where they were absent.
 *
 * @param changes member name → JSON of its new value, as text or UTF-8
 * @param spans   `memberSpans(json)`, when the caller has them already
 */
export function spliceMembers(
  json: Uint8Array,
  changes: ReadonlyMap<string, string | Uint8Array>,
  spans: ReadonlyMap<string, MemberSpan> = memberSpans(json),
): Buffer {
  const bytes = bufferOf(json);
  const replaced = [...changes].flatMap(([name, value]) => {
    const span = spans.get(name);
    return span === undefined ? [] : [{ ...span, value }];
  });
  replaced.sort((a, b) => a.start - b.start);
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { start, end, value } of replaced) {
    pieces.push(bytes.subarray(at, start), jsonBytes(value));
    at = end;
  }
  const close = bytes.lastIndexOf(closeBrace);
  pieces.push(bytes.subarray(at, close), ...appended(changes, spans), bytes.subarray(close));
  return Buffer.concat(pieces);
}

/** The new members, each with the comma before it where one is needed. */
function appended(changes: ReadonlyMap<string, string | Uint8Array>, spans: ReadonlyMap<string, MemberSpan>): Buffer[] {
  const members = [...changes].filter(([name]) => !spans.has(name));
  return members.flatMap(([name, value], i) => {
    const comma = spans.size + i === 0 ? "" : ",";
    return [Buffer.from(`${comma}${stringifyJson(name)}:`), jsonBytes(value)];
  });
}

function jsonBytes(value: string | Uint8Array): Buffer {
  return typeof value === "string" ? Buffer.from(value) : bufferOf(value);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function nameOf(quoted: Buffer): string {
  return quoted.includes(backslash) ? (parseJson(quoted) as string) : quoted.toString("utf8", 1, quoted.length - 1);
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = bytes[at]) at++;
  return at;
}

/** Up to here a loop finds a closing quote sooner than a native search begins. */
const shortString = 48;

/** End of the string that starts at `at`. A data: URL is megabytes: where no quote comes soon it is searched natively. */
function skipString(bytes: Buffer, at: number): number {
  if (bytes[at] !== quoteByte) fail(at, "expected a string");
  const soon = Math.min(at + shortString, bytes.length);
  for (let i = at + 1; i < soon && bytes[i] !== backslash; i++) if (bytes[i] === quoteByte) return i + 1;
  let end = at;
  do {
    end = bytes.indexOf(quoteByte, end + 1);
    if (end < 0) fail(at, "unterminated string");
  } while (isEscaped(bytes, end));
  return end + 1;
}

/** An odd number of backslashes stands before `at`. */
function isEscaped(bytes: Buffer, at: number): boolean {
  let first = at;
  while (bytes[first - 1] === backslash) first--;
  return (at - first) % 2 === 1;
}

function skipValue(bytes: Buffer, start: number): number {
  const first = bytes[start];
  if (first === quoteByte) return skipString(bytes, start);
  if (first === openBracket) return flatEnd(bytes, start) ?? skipNested(bytes, start);
  return first === openBrace ? skipNested(bytes, start) : skipScalar(bytes, start);
}

/** End of an array that holds numbers alone, found natively: token ids are most of a request's bytes. */
function flatEnd(bytes: Buffer, start: number): number | undefined {
  const end = bytes.indexOf(closeBracket, start) + 1;
  if (end === 0) return undefined;
  const items = bytes.subarray(start + 1, end);
  return items.includes(quoteByte) || items.includes(openBracket) || items.includes(openBrace) ? undefined : end;
}

/** End of the array or object at `start`: brackets are counted, not matched by kind (I1). */
function skipNested(bytes: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at]!;
    if (byte === quoteByte) {
      at = skipString(bytes, at);
      continue;
    }
    at++;
    if (byte === openBrace || byte === openBracket) depth++;
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return at;
  }
  return fail(start, "unterminated value");
}

function skipScalar(bytes: Buffer, start: number): number {
  let at = start;
  for (let byte = bytes[at]; byte !== undefined && byte > 0x20 && byte !== comma && byte !== closeBrace; byte = bytes[at]) at++;
  if (at === start) fail(start, "expected a value");
  return at;
}

function fail(offset: number, what: string): never {
  throw new AppError("protocol_error", `invalid JSON object at byte ${offset}: ${what}`, { details: { offset } });
}
