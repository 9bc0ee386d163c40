// Bytes of a stream that arrive split and glued arbitrarily, read back in pieces of known length.
//
// Chunks are joined only when a wanted piece spans several of them, so a large frame costs one copy however it was
// split, and a frame that lies inside one chunk costs none.
import { Buffer } from "node:buffer";

const nothing = Buffer.alloc(0);

export class ByteQueue {
  readonly #later: Buffer[] = [];
  #head: Buffer = nothing;
  /** Where in the head the unread bytes begin. */
  #start = 0;
  #length = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  /** Appends `chunk` without copying; the caller must not write into it afterwards. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const bytes = chunk instanceof Buffer ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.#length === 0) this.#setHead(bytes);
    else this.#later.push(bytes);
    this.#length += bytes.length;
  }

  /** Whether the first `length` bytes have come; then `uint` may look at them. */
  has(length: number): boolean {
    if (this.#length < length) return false;
    if (this.#head.length - this.#start < length) this.#join();
    return true;
  }

  /** The unsigned big-endian number of 2 or 4 bytes at `offset`; `has` said that it has come. */
  uint(offset: number, bytes: 2 | 4): number {
    return bytes === 4 ? this.#head.readUInt32BE(this.#start + offset) : this.#head.readUInt16BE(this.#start + offset);
  }

  /** Takes the first `length` bytes; `has` said that they have come. */
  take(length: number): Buffer {
    if (length === 0) return nothing;
    const bytes = this.#head.subarray(this.#start, this.#start + length);
    this.skip(length);
    return bytes;
  }

  skip(length: number): void {
    this.#start += length;
    this.#length -= length;
    if (this.#start === this.#head.length) this.#setHead(this.#later.shift() ?? nothing);
  }

  #setHead(head: Buffer): void {
    this.#head = head;
    this.#start = 0;
  }

  #join(): void {
    this.#setHead(Buffer.concat([this.#head.subarray(this.#start), ...this.#later.splice(0)]));
  }
}
