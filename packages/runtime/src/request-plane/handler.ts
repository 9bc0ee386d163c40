// What a served endpoint is given and what it answers through: the worker's side of one request.
//
//   ack, call-home, null prologue   sent before what the handler sends; the connection may not stand yet when it begins
//   handler resolves                complete_final, sentinel
//   handler throws AppError         one error item, complete_final, sentinel
//   handler throws StreamAborted    the connection is closed without complete_final (the stream counts as lost)
//   anything else thrown            as an AppError `internal`
import type { Annotated, BodyCodec } from "@mm-router/protocol";

export interface IncomingRequest {
  /** The caller's id of this request; downstream calls reuse it, so one id runs through all logs. */
  readonly contextId: string;
  /** How `body` is written; the answer is written the same way. */
  readonly codec: BodyCodec;
  readonly body: Buffer;
  /** `metadata` of the control message (releases ≥ 1.4); empty for others. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Transport headers (`request-id`, `traceparent`, …); empty for callers ≤ 1.0 on NATS. */
  readonly headers: Readonly<Record<string, string>>;
  /** Aborts when the caller says stop or kill, or its connection is gone; the reason is an AppError `client_closed`. */
  readonly signal: AbortSignal;
  /** Resolves when the caller's port has answered; rejects with the signal's reason when it does not. */
  readonly reached: Promise<void>;
}

export interface ResponseSink {
  /** Sends one item; resolves when the socket takes more. After the caller left it does nothing. */
  item(item: Annotated): Promise<void>;
  /** Sends data-frame bodies as they came from another stream, in one socket write; resolves when the socket takes more. */
  frames(bodies: readonly Uint8Array[]): Promise<void>;
}

export type Handler = (request: IncomingRequest, sink: ResponseSink) => Promise<void>;

/** Thrown by a handler to end its stream without `complete_final`, so that a caller that can migrate the request does so. */
export class StreamAborted extends Error {
  override readonly name = "StreamAborted";

  constructor(reason: string, cause?: unknown) {
    super(reason, cause === undefined ? undefined : { cause });
  }
}
