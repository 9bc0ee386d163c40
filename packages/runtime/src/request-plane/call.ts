// One call of an instance and the stream it answers with: the caller's side.
//
// Whether a request was *taken* decides if it may go elsewhere. Taken means: a null prologue came. Before it (no
// responders, connection refused, an ack text, a prologue error, silence) another instance may have it; after it never,
// since it may be what kills workers (Dynamo ≤ 1.5 exits on some prompts).
import { AppError, type ErrorCode, type InstanceId } from "@mm-router/protocol";

export interface Call {
  /** Reused for downstream calls; real frontends use a uuid, any text works. */
  readonly contextId: string;
  /** JSON. */
  readonly body: Uint8Array;
  /** Aborting sends `kill` and ends the stream with `client_closed`. */
  readonly signal: AbortSignal;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Bodies of item frames (raw JSON), in the batches in which the socket gave them.
 *
 * Ends normally only after `complete_final`; else iteration throws AppError `worker_lost`, `client_closed`,
 * `deadline_exceeded` or `protocol_error`. Leaving the loop early cancels. Not reading holds the worker back (TCP).
 */
export interface ResponseStream extends AsyncIterable<readonly Buffer[]> {
  readonly instanceId: InstanceId;
  /** Sends `kill`, flushes and ends the connection; does not wait. A second call, or one after the end, does nothing. */
  cancel(): void;
}

export interface NotTakenOptions {
  readonly instanceId: InstanceId;
  readonly cause?: unknown;
}

/** An error of a request that no worker has begun; `isNotTaken` recognises it. */
export function notTaken(code: ErrorCode, message: string, { instanceId, cause }: NotTakenOptions): AppError {
  return new AppError(code, message, { cause, details: { taken: false, instance_id: instanceId } });
}

/** True for errors of a request that no worker has begun: it may go to another instance. */
export function isNotTaken(error: unknown): error is AppError {
  return error instanceof AppError && error.details.taken === false;
}
