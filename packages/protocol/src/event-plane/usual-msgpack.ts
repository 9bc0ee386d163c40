// The usual form of MessagePack: short maps and strings, lists up to 2^16, unsigned integers.
import type { U64 } from "../u64.ts";
import { NotUsual, standsAt, type UsualCursor, type UsualName } from "./usual-cursor.ts";

export class UsualMsgpack implements UsualCursor {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  open(): number {
    const head = this.bytes[this.at++]!;
    if ((head & 0xf0) !== 0x80) throw NotUsual;
    return head & 0x0f;
  }

  close(opened: number, members: number): void {
    if (opened !== members) throw NotUsual;
  }

  member(name: UsualName): void {
    if (!this.skips(name.msgpack)) throw NotUsual;
  }

  isMember(name: UsualName): boolean {
    return this.skips(name.msgpack);
  }

  isFirst(name: UsualName): boolean {
    return this.skips(name.msgpack);
  }

  word(word: UsualName): void {
    if (!this.skips(word.msgpack)) throw NotUsual;
  }

  isWord(word: UsualName): boolean {
    return this.skips(word.msgpack);
  }

  isList(): boolean {
    const head = this.bytes[this.at]!;
    return (head & 0xf0) === 0x90 || head === 0xdc;
  }

  openList(): number {
    const head = this.bytes[this.at++]!;
    if ((head & 0xf0) === 0x90) return head & 0x0f;
    if (head !== 0xdc) throw NotUsual;
    return this.view.getUint16(this.skip(2));
  }

  hasItem(read: number, opened: number): boolean {
    return read < opened;
  }

  u64(): U64 {
    if (this.bytes[this.at] !== 0xcf) return BigInt(this.u32());
    this.at++;
    return this.view.getBigUint64(this.skip(8));
  }

  u32(): number {
    const head = this.bytes[this.at++]!;
    if (head < 0x80) return head;
    switch (head) {
      case 0xcc:
        return this.view.getUint8(this.skip(1));
      case 0xcd:
        return this.view.getUint16(this.skip(2));
      case 0xce:
        return this.view.getUint32(this.skip(4));
      default:
        throw NotUsual;
    }
  }

  isNull(): boolean {
    if (this.bytes[this.at] !== 0xc0) return false;
    this.at++;
    return true;
  }

  /** Enters binary data that takes the rest of the bytes. */
  enterTail(): void {
    const width = this.bytes[this.at++]! - 0xc4;
    if (width !== 0 && width !== 1 && width !== 2) throw NotUsual;
    const start = this.skip(1 << width);
    const length = width === 0 ? this.view.getUint8(start) : width === 1 ? this.view.getUint16(start) : this.view.getUint32(start);
    if (length !== this.bytes.length - this.at) throw NotUsual;
  }

  end(): void {
    if (this.at !== this.bytes.length) throw NotUsual;
  }

  private skips(expected: Uint8Array): boolean {
    if (!standsAt(this.bytes, this.at, expected)) return false;
    this.at += expected.length;
    return true;
  }

  /** Moves on; returns where it was. */
  private skip(count: number): number {
    const start = this.at;
    if (count > this.bytes.length - start) throw NotUsual;
    this.at = start + count;
    return start;
  }
}
