// MessagePack as Rust's rmp-serde reads and writes it: maps with string keys, integers in their smallest form.
//
//   number | bigint integer   fixint · cc cd ce cf · d0 d1 d2 d3, the shortest that holds it      never a float
//   number with a fraction    cb (float64)
//   Uint8Array                c4 c5 c6 (bin); everything else as one would expect
//
// Encoding is @msgpack/msgpack. Decoding is ours: the library allocates an array for whatever length a header claims,
// which lets a message of kilobytes take gigabytes, and it cannot give safe integers as numbers and the others as bigint.
//
// I1  Decoded integers within ±(2^53 − 1) are numbers, all others bigint, whatever their width on the wire.
// I2  Work and memory are bounded by the length of the bytes; nesting by `depthMax`.
// I3  A map becomes a plain object; `__proto__` is a member like any other.
import { Encoder } from "@msgpack/msgpack";
import { AppError } from "./errors.ts";

const encoder = new Encoder({ useBigInt64: true, ignoreUndefined: true });

/** Same limit as JSON; rmp-serde's own is 1024. */
const depthMax = 128;

/** MessagePack bytes of plain values; undefined members are left out, typed arrays of integers become arrays. */
export function encodeMsgpack(value: unknown): Uint8Array {
  return encoder.encode(withShortIntegers(value));
}

/**
 * Decodes one MessagePack value.
 *
 * @throws AppError `protocol_error` for truncated, surplus, too deeply nested or reserved bytes, and extension types
 */
export function decodeMsgpack(bytes: Uint8Array): unknown {
  return new MsgpackReader(bytes).document();
}

/** The library writes bigint in 8 bytes and a number from 2^32 on as a float: give it each in the form it shortens. */
function withShortIntegers(value: unknown): unknown {
  if (typeof value === "bigint") return value >= -0x80000000n && value <= 0xffffffffn ? Number(value) : value;
  if (typeof value === "number") return Number.isSafeInteger(value) && (value > 0xffffffff || value < -0x80000000) ? BigInt(value) : value;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(withShortIntegers);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<number | bigint>, withShortIntegers);
  const entries = value instanceof Map ? value.entries() : Object.entries(value);
  return Object.fromEntries(Array.from(entries, ([name, member]) => [name, withShortIntegers(member)]));
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class MsgpackReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;
  private depth = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  document(): unknown {
    const value = this.value();
    if (this.at !== this.bytes.length) this.fail("bytes after the value");
    return value;
  }

  private value(): unknown {
    const head = this.bytes[this.skip(1)]!;
    if (head < 0x80) return head;
    if (head < 0x90) return this.map(head & 0x0f);
    if (head < 0xa0) return this.array(head & 0x0f);
    if (head < 0xc0) return this.string(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.binary(this.length(head - 0xc4));
      case 0xca:
        return this.view.getFloat32(this.skip(4));
      case 0xcb:
        return this.view.getFloat64(this.skip(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.length(head - 0xcc);
      case 0xcf:
        return shortest(this.view.getBigUint64(this.skip(8)));
      case 0xd0:
        return this.view.getInt8(this.skip(1));
      case 0xd1:
        return this.view.getInt16(this.skip(2));
      case 0xd2:
        return this.view.getInt32(this.skip(4));
      case 0xd3:
        return shortest(this.view.getBigInt64(this.skip(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.string(this.length(head - 0xd9));
      case 0xdc:
      case 0xdd:
        return this.array(this.length(head - 0xdb));
      case 0xde:
      case 0xdf:
        return this.map(this.length(head - 0xdd));
      default:
        return this.fail(`unexpected type byte 0x${head.toString(16)}`);
    }
  }

  /** An unsigned integer of 1, 2 or 4 bytes (`width` 0, 1, 2). */
  private length(width: number): number {
    if (width === 0) return this.bytes[this.skip(1)]!;
    return width === 1 ? this.view.getUint16(this.skip(2)) : this.view.getUint32(this.skip(4));
  }

  private array(length: number): unknown[] {
    this.enter(length);
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) items.push(this.value());
    this.depth--;
    return items;
  }

  private map(size: number): Record<string, unknown> {
    this.enter(size * 2);
    const object: Record<string, unknown> = {};
    for (let i = 0; i < size; i++) {
      const key = this.value();
      if (typeof key !== "string") return this.fail("a map key that is no string");
      const value = this.value();
      // I3: an assignment would set the prototype
      if (key === "__proto__") Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      else object[key] = value;
    }
    this.depth--;
    return object;
  }

  /** Every value takes at least a byte, so a length beyond what is left is refused before anything is built (I2). */
  private enter(values: number): void {
    if (++this.depth > depthMax) this.fail(`nested deeper than ${depthMax}`);
    if (values > this.bytes.length - this.at) this.fail("a length beyond the end");
  }

  private string(length: number): string {
    const start = this.skip(length);
    try {
      return length < 24 ? this.shortString(start, this.at) : utf8.decode(this.bytes.subarray(start, this.at));
    } catch (cause) {
      throw new AppError("protocol_error", `invalid MessagePack at ${start}: a string that is not UTF-8`, { cause });
    }
  }

  /** Member names are short ASCII: building them here is several times faster than a call into the decoder. */
  private shortString(start: number, end: number): string {
    let text = "";
    for (let i = start; i < end; i++) {
      const byte = this.bytes[i]!;
      if (byte >= 0x80) return utf8.decode(this.bytes.subarray(start, end));
      text += String.fromCharCode(byte);
    }
    return text;
  }

  private binary(length: number): Uint8Array {
    const start = this.skip(length);
    return this.bytes.subarray(start, this.at);
  }

  /** Moves `count` bytes on; returns where they start. */
  private skip(count: number): number {
    const start = this.at;
    if (count > this.bytes.length - start) this.fail("the bytes end too early");
    this.at = start + count;
    return start;
  }

  private fail(what: string): never {
    throw new AppError("protocol_error", `invalid MessagePack at ${this.at}: ${what}`, { details: { offset: this.at } });
  }
}

function shortest(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
