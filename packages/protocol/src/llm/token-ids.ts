// Token ids read straight out of a JSON body: a router needs them, and nothing else of a request, for every request.
import { AppError } from "../errors.ts";
import type { MemberSpan } from "../json-splice.ts";

const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const zero = 0x30;
const nine = 0x39;

/**
 * The u32 of a JSON array, without building values. White space between them is allowed.
 *
 * @param span of the array in `json` (`memberSpans`)
 * @throws AppError `protocol_error` when it is no array of u32
 */
export function tokenIdsAt(json: Uint8Array, { start, end }: MemberSpan): Uint32Array {
  const ids = new Uint32Array(json[start] === openBracket ? (end - start) >> 1 : 0); // an id takes two bytes at least, with its comma
  if (isEmptyArray(json, start, end)) return ids.subarray(0, 0);
  let count = 0;
  let at = start + 1;
  for (;;) {
    at = skipSpace(json, at);
    const first = at;
    let id = 0;
    for (let byte = json[at]!; byte >= zero && byte <= nine && id <= 0xffffffff; byte = json[++at]!) id = id * 10 + (byte - zero);
    if (at === first || id > 0xffffffff) throw malformed(at);
    ids[count++] = id;
    at = skipSpace(json, at);
    if (json[at] !== comma) break;
    at++;
  }
  if (json[start] !== openBracket || json[at] !== closeBracket || at + 1 !== end) throw malformed(at);
  return ids.subarray(0, count);
}

function isEmptyArray(json: Uint8Array, start: number, end: number): boolean {
  return json[start] === openBracket && skipSpace(json, start + 1) === end - 1;
}

function skipSpace(json: Uint8Array, from: number): number {
  let at = from;
  for (let byte = json[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = json[at]) at++;
  return at;
}

function malformed(at: number): AppError {
  return new AppError("protocol_error", `token_ids is no array of u32 (byte ${at})`, { details: { offset: at } });
}
