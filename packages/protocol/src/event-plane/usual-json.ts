// The usual form of JSON: compact, as serde_json writes it, integers without sign, fraction or exponent.
import type { U64 } from "../u64.ts";
import { NotUsual, standsAt, type UsualCursor, type UsualName } from "./usual-cursor.ts";

const openMap = 0x7b;
const closeMap = 0x7d;
const openList = 0x5b;
const closeList = 0x5d;
const comma = 0x2c;
const colon = 0x3a;
const zero = 0x30;
const nine = 0x39;
const nullWord = Buffer.from("null");
/** Digits that a double holds in any case. */
const safeDigits = 15;
const digitsMax = 20;

export class UsualJson implements UsualCursor {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  open(): number {
    this.expect(openMap);
    return 0;
  }

  close(): void {
    this.expect(closeMap);
  }

  member(name: UsualName, isFirst: boolean): void {
    if (!(isFirst ? this.isFirst(name) : this.isMember(name))) throw NotUsual;
  }

  isMember(name: UsualName): boolean {
    return this.bytes[this.at] === comma && this.skipsName(name.json, 1);
  }

  isFirst(name: UsualName): boolean {
    return this.skipsName(name.json, 0);
  }

  word(word: UsualName): void {
    if (!this.isWord(word)) throw NotUsual;
  }

  isWord(word: UsualName): boolean {
    return this.skips(word.json);
  }

  openList(): number {
    this.expect(openList);
    return 0;
  }

  hasItem(read: number): boolean {
    if (this.bytes[this.at] === closeList) {
      this.at++;
      return false;
    }
    if (read > 0) this.expect(comma);
    return true;
  }

  u64(): U64 {
    const start = this.at;
    const safe = this.digits(start + safeDigits);
    if (!this.isDigit()) return BigInt(safe);
    const from = this.at;
    const rest = this.digits(start + digitsMax);
    if (this.isDigit()) throw NotUsual;
    return shifted(safe, 10 ** (this.at - from), rest);
  }

  u32(): number {
    const value = this.digits(this.at + safeDigits);
    if (value > 0xffff_ffff || this.isDigit()) throw NotUsual;
    return value;
  }

  isNull(): boolean {
    return this.skips(nullWord);
  }

  end(): void {
    if (this.at !== this.bytes.length) throw NotUsual;
  }

  /** At least one digit, as many as stand before `end`; no leading zero. */
  private digits(end: number): number {
    const start = this.at;
    if (!this.isDigit()) throw NotUsual;
    let value = 0;
    while (this.at < end && this.isDigit()) value = value * 10 + this.bytes[this.at++]! - zero;
    if (this.bytes[start] === zero && this.at > start + 1 && start + safeDigits === end) throw NotUsual;
    return value;
  }

  private isDigit(): boolean {
    const byte = this.bytes[this.at]!;
    return byte >= zero && byte <= nine;
  }

  private skipsName(name: Uint8Array, offset: number): boolean {
    const at = this.at + offset;
    if (!standsAt(this.bytes, at, name) || this.bytes[at + name.length] !== colon) return false;
    this.at = at + name.length + 1;
    return true;
  }

  private skips(expected: Uint8Array): boolean {
    if (!standsAt(this.bytes, this.at, expected)) return false;
    this.at += expected.length;
    return true;
  }

  private expect(byte: number): void {
    if (this.bytes[this.at++] !== byte) throw NotUsual;
  }
}

const wide = new BigUint64Array(1);
const halves = new Uint32Array(wide.buffer); // little-endian wherever we run
const half = 2 ** 32;

/** value × factor + rest, without bigints on the way. @param value below 10^15 @param factor at most 10^5 */
function shifted(value: number, factor: number, rest: number): U64 {
  const low = (value % half) * factor + rest;
  const high = Math.floor(value / half) * factor + Math.floor(low / half);
  if (high >= half) throw NotUsual;
  halves[0] = low % half;
  halves[1] = high;
  return wide[0]!;
}
