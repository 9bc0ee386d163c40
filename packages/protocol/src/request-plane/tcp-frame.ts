// Requests and their acks on the TCP request plane.
//
//   caller → worker   u16 BE P | P bytes path | u16 BE L | L bytes JSON headers | u32 BE N | N bytes two-part request
//   worker → caller   u32 BE length | text        length 0 = taken; any text is a refusal, but at an endpoint that answers in its ack
//
// Connections persist; requests are pipelined and acks come in their order, without ids. The path is the text after the
// first `/` of the instance's `transport.tcp`, an opaque routing key.
// Source: captured from frontends 0.9.1 … 1.6.1 (codec-tcp-request.json). Gotcha: a real caller that gets an ack text
// hangs (≤ 1.2 with any, ≥ 1.4 with any but the overload text), so a worker refuses through the response stream instead.
import { Buffer } from "node:buffer";
import { AppError } from "../errors.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { ByteQueue } from "./byte-queue.ts";

/** The only ack text that releases ≥ 1.4 understand. */
export const OVERLOAD_ACK = "Server overloaded: worker at capacity";

const U16_BYTES = 2;
const U32_BYTES = 4;
const U16_MAX = 0xffff;

export interface TcpRequest {
  readonly path: string;
  /** JSON text, string → string; decode with `decodeTcpHeaders`. */
  readonly headers: Buffer;
  /** The two-part request. */
  readonly envelope: Buffer;
}

export interface TcpRequestLimits {
  /** The envelope; path and headers are bounded by their u16 lengths. */
  readonly requestBytesMax: number;
}

/**
 * A request frame; `x-endpoint-path` is written first, as 0.9.1 does.
 *
 * @throws AppError `invalid_request` when path or headers do not fit their u16 lengths
 */
export function encodeTcpRequest(path: string, headers: Readonly<Record<string, string>>, envelope: Uint8Array): Buffer {
  return encodeTcpRequestParts(path, stringifyJson({ "x-endpoint-path": path, ...headers }), envelope);
}

/** The frame around headers that are JSON text already. */
export function encodeTcpRequestParts(path: string, headersText: string, envelope: Uint8Array): Buffer {
  const pathLength = Buffer.byteLength(path);
  const headersLength = Buffer.byteLength(headersText);
  if (pathLength > U16_MAX || headersLength > U16_MAX) throw new AppError("invalid_request", "request headers exceed 64 KiB");
  const frame = Buffer.allocUnsafe(U16_BYTES + pathLength + U16_BYTES + headersLength + U32_BYTES + envelope.length);
  let end = frame.writeUInt16BE(pathLength, 0);
  end += frame.write(path, end);
  end = frame.writeUInt16BE(headersLength, end);
  end += frame.write(headersText, end);
  end = frame.writeUInt32BE(envelope.length, end);
  frame.set(envelope, end);
  return frame;
}

/**
 * Headers of a request frame; values that are no text are left out.
 *
 * @throws AppError `protocol_error` when the text is no JSON object
 */
export function decodeTcpHeaders(headers: Uint8Array): Record<string, string> {
  const value = parseJson(headers);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AppError("protocol_error", "headers of a TCP request are not a JSON object");
  }
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

/** Incremental decoder of one caller's connection. */
export class TcpRequestDecoder {
  readonly #queue = new ByteQueue();
  readonly #requestBytesMax: number;

  constructor(limits: TcpRequestLimits) {
    this.#requestBytesMax = limits.requestBytesMax;
  }

  /**
   * The requests that `chunk` completes, in order.
   *
   * @throws AppError `protocol_error` when a request is above the limit; the connection is of no more use
   */
  push(chunk: Uint8Array): TcpRequest[] {
    this.#queue.push(chunk);
    const requests: TcpRequest[] = [];
    for (let request = this.#next(); request !== undefined; request = this.#next()) requests.push(request);
    return requests;
  }

  #next(): TcpRequest | undefined {
    const headersAt = this.#endOfField(0, U16_BYTES);
    const envelopeAt = headersAt && this.#endOfField(headersAt, U16_BYTES);
    const end = envelopeAt && this.#endOfField(envelopeAt, U32_BYTES);
    if (!headersAt || !envelopeAt || !end || !this.#queue.has(end)) return undefined;
    const frame = this.#queue.take(end);
    return {
      path: frame.toString("utf8", U16_BYTES, headersAt),
      headers: frame.subarray(headersAt + U16_BYTES, envelopeAt),
      envelope: frame.subarray(envelopeAt + U32_BYTES),
    };
  }

  /** Where the length-prefixed field at `start` ends, or undefined while its length has not come. */
  #endOfField(start: number, lengthBytes: 2 | 4): number | undefined {
    if (!this.#queue.has(start + lengthBytes)) return undefined;
    const length = this.#queue.uint(start, lengthBytes);
    if (length > this.#requestBytesMax) {
      throw new AppError("protocol_error", `TCP request of ${length} bytes is above the limit of ${this.#requestBytesMax}`);
    }
    return start + lengthBytes + length;
  }
}

/** The longest ack that callers read; an endpoint that answers in its ack has as much room. */
export const ACK_BYTES_MAX = 64 * 1024;

/** An ack; without content the request is taken. */
export function encodeAck(content: string | Uint8Array = ""): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const ack = Buffer.allocUnsafe(U32_BYTES + bytes.length);
  ack.set(bytes, ack.writeUInt32BE(bytes.length, 0));
  return ack;
}

/** Incremental decoder of a worker's acks. */
export class AckDecoder {
  readonly #queue = new ByteQueue();

  /**
   * The contents of the acks that `chunk` completes, in order; empty = taken.
   *
   * @throws AppError `protocol_error` for one above 64 KiB; the connection is of no more use
   */
  push(chunk: Uint8Array): Buffer[] {
    this.#queue.push(chunk);
    const contents: Buffer[] = [];
    for (let content = this.#next(); content !== undefined; content = this.#next()) contents.push(content);
    return contents;
  }

  #next(): Buffer | undefined {
    if (!this.#queue.has(U32_BYTES)) return undefined;
    const length = this.#queue.uint(0, U32_BYTES);
    if (length > ACK_BYTES_MAX) throw new AppError("protocol_error", `ack of ${length} bytes is above the limit of ${ACK_BYTES_MAX}`);
    if (!this.#queue.has(U32_BYTES + length)) return undefined;
    return this.#queue.take(U32_BYTES + length).subarray(U32_BYTES);
  }
}
