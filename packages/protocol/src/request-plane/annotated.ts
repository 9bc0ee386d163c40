// Data frames of a response stream and the items in them.
//
//   {"data":ITEM,"complete_final":false}      an item
//   {"complete_final":true}                   the end
//   ITEM = {data?, id?, event?, comment?, error?}, absent members left out
//
// Source: captured from 0.7.1 … 1.6.1 (endpoint-*.json, codec-two-part.json). What a worker's exception looks like is
// worker-error.ts.
// I1  isFinalFrame does not parse an item frame as real workers write it: relays touch every token's frame.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { AppError } from "../errors.ts";
import { decodeAs } from "../schema.ts";
import { type BodyCodec, decodeBody, encodeBody } from "./body-codec.ts";

export interface Annotated {
  /** What the worker yielded: any JSON value. */
  readonly data?: unknown;
  readonly id?: string;
  /** `error` is a failure; other events pass through to the client. */
  readonly event?: string;
  readonly comment?: readonly string[];
  readonly error?: ErrorObject;
}

/** The error of an item, ≥ 1.0; the members after `message` are of 1.6. */
export interface ErrorObject {
  readonly error_type: string | { readonly Backend: string };
  readonly message: string;
  readonly class?: string;
  readonly reason?: string;
  readonly diagnostic?: string;
  /** The text meant for the user. */
  readonly public?: { readonly type: string; readonly message: string };
}

export interface DataFrame {
  /** True for the frame that ends a stream normally. */
  readonly final: boolean;
  readonly item?: Annotated;
}

const errorSchema = z.looseObject({
  error_type: z.unknown().optional().transform(errorTypeOf),
  class: z.string().optional().catch(undefined),
  reason: z.string().optional().catch(undefined),
  message: z.string().catch(""),
  diagnostic: z.string().optional().catch(undefined),
  public: z
    .looseObject({ type: z.string().catch("message"), message: z.string() })
    .optional()
    .catch(undefined),
});

const itemSchema = z.looseObject({
  data: z.unknown().optional(),
  id: z.string().nullish(),
  event: z.string().nullish(),
  comment: z.array(z.string()).nullish(),
  error: errorSchema.nullish(),
});

const frameSchema = z.looseObject({ data: itemSchema.nullish(), complete_final: z.boolean() });

/**
 * Decodes the body of a data frame.
 *
 * @throws AppError `protocol_error` when it is neither an item nor the end
 */
export function decodeDataFrame(codec: BodyCodec, body: Uint8Array): DataFrame {
  const { data, complete_final: final } = decodeAs(frameSchema, decodeBody(codec, body), "data frame of a response stream");
  if (!data && !final) throw new AppError("protocol_error", "data frame of a response stream has neither an item nor the end mark");
  return data ? { final, item: withoutNulls(data) } : { final };
}

/** The body of an item's data frame. */
export function encodeItem(codec: BodyCodec, item: Annotated): Buffer {
  return encodeBody(codec, { data: item, complete_final: false });
}

/** The body of the data frame that ends a stream normally. */
export function encodeFinal(codec: BodyCodec): Buffer {
  return encodeBody(codec, { complete_final: true });
}

const itemTail = Buffer.from(',"complete_final":false}');

/**
 * Whether a JSON data frame ends the stream.
 *
 * A valid JSON text with that tail has the member at its top level, so real workers' items are recognised by their last
 * bytes; any other spelling is parsed.
 *
 * @throws AppError `protocol_error` when the frame must be parsed and is malformed
 */
export function isFinalFrame(body: Uint8Array): boolean {
  return endsWith(body, itemTail) ? false : decodeDataFrame("json", body).final;
}

function endsWith(bytes: Uint8Array, tail: Uint8Array): boolean {
  const start = bytes.length - tail.length;
  if (start < 0) return false;
  for (let at = 0; at < tail.length; at++) if (bytes[start + at] !== tail[at]) return false;
  return true;
}

/** Serde writes plain variants as text and variants with content as an object of one member. */
function errorTypeOf(value: unknown): ErrorObject["error_type"] {
  if (typeof value === "string") return value;
  const backend = (value as { Backend?: unknown } | null | undefined)?.Backend;
  return typeof backend === "string" ? { Backend: backend } : "Unknown";
}

function withoutNulls(item: z.output<typeof itemSchema>): Annotated {
  return Object.fromEntries(Object.entries(item).filter(([name, value]) => value !== undefined && (value !== null || name === "data")));
}
