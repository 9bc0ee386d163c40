// The connection that a worker opens back to its caller: everything on it but the items.
//
//   worker → caller   1   control  {"subject":"…","stream_type":"response"}     which request this is
//                     2   control  {"error":null}                               taken; or {"error":"text"}, then close
//                     3…  data     items (annotated.ts)
//                     n   data     {"complete_final":true}                      the only proof of a normal end
//                     n+1 control  "sentinel"                                   answered with FIN
//   caller → worker       control  "stop" | "kill"                              at any time
//
// Source: captured from 0.7.1 … 1.6.1, all alike (endpoint-*.json). Real frontends cancel with kill and FIN.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { parseJson, stringifyJson } from "../json.ts";
import { decodeAs } from "../schema.ts";
import { encodeControlFrame } from "./two-part.ts";

const handshakeSchema = z.looseObject({ subject: z.string().min(1), stream_type: z.literal("response") });
const prologueSchema = z.looseObject({ error: z.string().nullish() });

/** The last frame of a worker. */
export const sentinelFrame = encodeControlFrame('"sentinel"');
/** Ends a request and drops what is queued. */
export const killFrame = encodeControlFrame('"kill"');
/** Asks a request to end. */
export const stopFrame = encodeControlFrame('"stop"');

/** The first frame: tells the caller which request this connection answers. */
export function encodeHandshake(subject: string): Buffer {
  return encodeControlFrame(stringifyJson({ subject, stream_type: "response" }));
}

/**
 * The subject of a handshake.
 *
 * @throws AppError `protocol_error` when the header is no handshake of a response stream
 */
export function decodeHandshake(header: Uint8Array): string {
  return decodeAs(handshakeSchema, parseJson(header), "handshake").subject;
}

/** The second frame: null when the request is taken, else the reason why not. */
export function encodePrologue(error: string | null): Buffer {
  return encodeControlFrame(stringifyJson({ error }));
}

/**
 * The prologue's error text, or null when the request is taken.
 *
 * @throws AppError `protocol_error` when the header is no prologue
 */
export function decodePrologue(header: Uint8Array): string | null {
  return decodeAs(prologueSchema, parseJson(header), "prologue").error ?? null;
}

/** True for the header of the sentinel frame. */
export function isSentinel(header: Uint8Array): boolean {
  return textOf(header) === '"sentinel"';
}

/** What the caller asks for. Anything but stop counts as kill, as it does for workers ≥ 1.2. */
export function decodeCallerControl(header: Uint8Array): "stop" | "kill" {
  return textOf(header) === '"stop"' ? "stop" : "kill";
}

function textOf(header: Uint8Array): string {
  return Buffer.from(header.buffer, header.byteOffset, header.length).toString("utf8");
}
