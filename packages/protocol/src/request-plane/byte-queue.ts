// Bytes of a stream that arrive split and glued arbitrarily, read back in pieces of known length.
//
// Chunks are joined only when a wanted piece spans several of them, so a large frame costs one copy however it was
// split, and a frame that lies inside one chunk costs none.
import { Buffer } from "node:buffer";

export class ByteQueue {
  readonly #later: Buffer[] = [];
  #head: Buffer = Buffer.alloc(0);
  #length = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  /** Appends `chunk` without copying; the caller must not write into it afterwards. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.#length === 0) this.#head = bytes;
    else this.#later.push(bytes);
    this.#length += chunk.length;
  }

  /** The first `length` bytes without taking them, or undefined while fewer have come. */
  peek(length: number): Buffer | undefined {
    if (this.#length < length) return undefined;
    if (this.#head.length < length) this.#join();
    return this.#head.subarray(0, length);
  }

  /** Takes the first `length` bytes; the caller has checked that they have come. */
  take(length: number): Buffer {
    const bytes = this.peek(length)!;
    this.#length -= length;
    const rest = this.#head.subarray(length);
    this.#head = rest.length > 0 ? rest : (this.#later.shift() ?? rest);
    return bytes;
  }

  #join(): void {
    this.#head = Buffer.concat([this.#head, ...this.#later]);
    this.#later.length = 0;
  }
}
