// The frame of every connection and every request: a header part and a body part.
//
//   0    u64 BE  H   header length
//   8    u64 BE  D   body length
//   16   u64 BE      checksum: 0 in every captured frame; written as 0, never verified
//   24   H bytes header, then D bytes body
//
//   H = 0 data frame · D = 0 control frame · both: a request
//
// Source: captured from 0.7.1 … 1.6.1, all alike (codec-two-part.json). There is no magic and no terminator, so after a
// refused length the connection is of no more use: its decoder keeps refusing.
// I1  a length is compared with the limit before anything is allocated for it.
import { Buffer } from "node:buffer";
import { AppError } from "../errors.ts";
import { ByteQueue } from "./byte-queue.ts";

export const TWO_PART_PREFIX_BYTES = 24;
const U32 = 2 ** 32;

export interface TwoPartFrame {
  readonly header: Buffer;
  readonly body: Buffer;
}

export interface TwoPartLimits {
  /** Header and body together. */
  readonly frameBytesMax: number;
}

/** One frame as bytes. */
export function encodeTwoPart(header: Uint8Array, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(TWO_PART_PREFIX_BYTES + header.length + body.length);
  const bodyStart = writePrefix(frame, 0, header.length, body.length) + header.length;
  frame.set(header, TWO_PART_PREFIX_BYTES);
  frame.set(body, bodyStart);
  return frame;
}

/** Data frames around `bodies`, in one buffer: one socket write for a whole batch. */
export function encodeDataFrames(bodies: readonly Uint8Array[]): Buffer {
  let size = 0;
  for (const body of bodies) size += TWO_PART_PREFIX_BYTES + body.length;
  const frames = Buffer.allocUnsafe(size);
  let end = 0;
  for (const body of bodies) {
    end = writePrefix(frames, end, 0, body.length);
    frames.set(body, end);
    end += body.length;
  }
  return frames;
}

/** A control frame: JSON text as header, no body. */
export function encodeControlFrame(headerText: string): Buffer {
  return encodeTwoPart(Buffer.from(headerText), Buffer.alloc(0));
}

/**
 * Decodes bytes that are exactly one frame (a request in a NATS message or a TCP request frame).
 *
 * @throws AppError `protocol_error` when bytes are missing, left over, or above the limit
 */
export function decodeTwoPart(bytes: Uint8Array, limits: TwoPartLimits): TwoPartFrame {
  const decoder = new TwoPartDecoder(limits);
  const [frame, ...more] = decoder.push(bytes);
  if (frame === undefined) throw new AppError("protocol_error", `two-part frame is cut off after ${bytes.length} bytes`);
  if (more.length > 0 || decoder.waitingBytes > 0) throw new AppError("protocol_error", "bytes follow a two-part frame");
  return frame;
}

/** Incremental decoder of one connection; holds at most one unfinished frame. */
export class TwoPartDecoder {
  readonly #queue = new ByteQueue();
  readonly #frameBytesMax: number;
  #broken: AppError | undefined;

  constructor(limits: TwoPartLimits) {
    this.#frameBytesMax = limits.frameBytesMax;
  }

  /** Bytes of the unfinished frame. */
  get waitingBytes(): number {
    return this.#queue.length;
  }

  /**
   * The frames that `chunk` completes, in order; they share its memory.
   *
   * @throws AppError `protocol_error` when a frame is above the limit, and again at every later call
   */
  push(chunk: Uint8Array): TwoPartFrame[] {
    if (this.#broken) throw this.#broken;
    this.#queue.push(chunk);
    const frames: TwoPartFrame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): TwoPartFrame | undefined {
    if (!this.#queue.has(TWO_PART_PREFIX_BYTES)) return undefined;
    const headerLength = this.#lengthAt(0);
    const bodyLength = this.#lengthAt(8);
    this.#checkLimit(headerLength + bodyLength);
    if (!this.#queue.has(TWO_PART_PREFIX_BYTES + headerLength + bodyLength)) return undefined;
    this.#queue.skip(TWO_PART_PREFIX_BYTES);
    return { header: this.#queue.take(headerLength), body: this.#queue.take(bodyLength) };
  }

  /** A u64 as a number: exact up to 2^53, which is far above any limit, and merely large beyond. */
  #lengthAt(offset: number): number {
    return this.#queue.uint(offset, 4) * U32 + this.#queue.uint(offset + 4, 4);
  }

  #checkLimit(frameBytes: number): void {
    if (frameBytes <= this.#frameBytesMax) return;
    this.#broken = new AppError("protocol_error", `two-part frame of ${frameBytes} bytes is above the limit of ${this.#frameBytesMax}`);
    throw this.#broken;
  }
}

/** Writes a prefix byte by byte: relays write one per token. Our lengths are below 2^32. */
function writePrefix(target: Buffer, offset: number, headerLength: number, bodyLength: number): number {
  const end = offset + TWO_PART_PREFIX_BYTES;
  for (let at = offset; at < end; at++) target[at] = 0;
  target.writeUInt32BE(headerLength, offset + 4);
  target.writeUInt32BE(bodyLength, offset + 12);
  return end;
}
