// The envelope of a request: a two-part frame whose header says who asks and where the answer goes.
//
//   header   {"id","request_type":"single_in","response_type":"many_out",["payload_codec",]
//             "connection_info":{"transport":"tcp_server","info":"{\"address\",\"subject\",\"context\",\"stream_type\"}"}}
//   body     the request, JSON or msgpack as payload_codec says; absent = JSON
//
// The header is always JSON, and `info` is JSON inside a string. Member order is that of real callers, so our envelope
// equals theirs byte for byte; `payload_codec` is written by callers ≥ 1.4 only, ours leaves it out and sends JSON.
// Source: captured from frontends 0.9.1 … 1.6.1 (codec-tcp-request.json); ≥ 1.4 may add `metadata`,
// `frontend_send_ts_ns`, `request_stream_connection_info`; unknown members are ignored.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { AppError } from "../errors.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { decodeAs } from "../schema.ts";
import type { BodyCodec } from "./body-codec.ts";
import { decodeTwoPart, encodeTwoPart, type TwoPartLimits } from "./two-part.ts";

/** Where a worker connects to with its answer. */
export interface CallHome {
  /** IP literal and port; IPv6 in brackets. */
  readonly address: string;
  /** Names the request among those the caller waits for. */
  readonly subject: string;
}

export interface RequestControl {
  /** Any text; real frontends use a uuid. */
  readonly contextId: string;
  readonly callHome: CallHome;
  /** Absent = JSON, and not written. */
  readonly payloadCodec?: BodyCodec;
  /** Reaches the worker's `context.metadata` (≥ 1.4). */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface RequestEnvelope {
  readonly control: RequestControl;
  readonly codec: BodyCodec;
  readonly body: Buffer;
}

const controlSchema = z.looseObject({
  id: z.string().min(1),
  request_type: z.literal("single_in"),
  response_type: z.literal("many_out"),
  payload_codec: z.enum(["json", "msgpack"]).nullish(),
  connection_info: z.looseObject({ transport: z.string(), info: z.string() }),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});

const infoSchema = z.looseObject({
  address: z.string(),
  subject: z.string().min(1),
  context: z.string(),
  stream_type: z.literal("response"),
});

/** The control message as JSON text. */
export function encodeControl(control: RequestControl): string {
  const { address, subject } = control.callHome;
  const info = stringifyJson({ address, subject, context: control.contextId, stream_type: "response" });
  return stringifyJson({
    id: control.contextId,
    request_type: "single_in",
    response_type: "many_out",
    payload_codec: control.payloadCodec,
    connection_info: { transport: "tcp_server", info },
    metadata: control.metadata,
  });
}

/** Control message and body as the bytes of a request. */
export function encodeRequestEnvelope(control: RequestControl, body: Uint8Array): Buffer {
  return encodeTwoPart(Buffer.from(encodeControl(control)), body);
}

/**
 * Decodes and checks a control message.
 *
 * @throws AppError `protocol_error` for wrong JSON, a missing member, or a context that is not the id;
 *   `unsupported` for another response transport than `tcp_server` (1.6 has QUIC)
 */
export function decodeControl(header: Uint8Array): RequestControl {
  const control = decodeAs(controlSchema, parseJson(header), "control message");
  const { transport } = control.connection_info;
  if (transport !== "tcp_server") throw new AppError("unsupported", `response transport ${transport} is not supported, only tcp_server`);
  const info = decodeAs(infoSchema, parseJson(control.connection_info.info), "connection info");
  if (info.context !== control.id) throw new AppError("protocol_error", "the context of the connection info is not the request's id");
  return {
    contextId: control.id,
    callHome: { address: info.address, subject: info.subject },
    ...(control.payload_codec ? { payloadCodec: control.payload_codec } : {}),
    metadata: textsOf(control.metadata ?? {}),
  };
}

/**
 * Decodes and checks a whole request; the body stays as bytes.
 *
 * @throws AppError as `decodeControl`; `protocol_error` when the bytes are not exactly one frame within `limits`
 */
export function decodeRequestEnvelope(bytes: Uint8Array, limits: TwoPartLimits): RequestEnvelope {
  const { header, body } = decodeTwoPart(bytes, limits);
  const control = decodeControl(header);
  return { control, codec: control.payloadCodec ?? "json", body };
}

function textsOf(metadata: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
