// How a request body and the items that answer it are written.
//
// `request_plane_codec` of an instance names what it prefers (≥ 1.4.2); a caller may always send JSON, and a worker answers
// in the codec of the request. A worker ≤ 1.2 that is given msgpack stays silent for ever, so ours always sends JSON.
import { Buffer } from "node:buffer";
import { parseJson, stringifyJson } from "../json.ts";
import { decodeMsgpack, encodeMsgpack } from "../msgpack.ts";

export type BodyCodec = "json" | "msgpack";

/** A value as bytes; bigint members are written as integers. */
export function encodeBody(codec: BodyCodec, value: unknown): Buffer {
  if (codec === "json") return Buffer.from(stringifyJson(value));
  const bytes = encodeMsgpack(value);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * The value of a body; integers beyond 2^53 are bigint.
 *
 * @throws AppError `protocol_error` when the bytes are not in that codec
 */
export function decodeBody(codec: BodyCodec, bytes: Uint8Array): unknown {
  return codec === "json" ? parseJson(bytes) : decodeMsgpack(bytes);
}
