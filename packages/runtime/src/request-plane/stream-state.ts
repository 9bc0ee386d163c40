// The life of one response stream at the caller, as a pure machine.
//
//   registered ──handshake──▶ connected ──prologue null──▶ open ──complete_final──▶ ended
//       │                         │ prologue error, closed   │ closed, sentinel, garbage
//       │ no ack, late            │ late                     │ silent for too long
//       ▼                         ▼                          ▼
//     refused ◀───────────────────┘                         lost          cancel, anywhere before the end ▶ cancelled
//
// I1  ended only by complete_final: FIN, RST or the sentinel without it mean that the worker died or gave up.
// I2  refused means that no worker has begun: the request may go elsewhere. lost means the opposite.
// I3  the four states at the bottom and at the end are final; whatever comes later changes nothing.
import { AppError, decodePrologue, type InstanceId, isFinalFrame, isSentinel, type TwoPartFrame } from "@mm-router/protocol";
import { notTaken } from "./call.ts";

export type StreamState =
  | { readonly kind: "registered" }
  | { readonly kind: "connected" }
  | { readonly kind: "open" }
  | { readonly kind: "ended" }
  | { readonly kind: "cancelled"; readonly cause: unknown }
  | { readonly kind: "refused"; readonly error: AppError }
  | { readonly kind: "lost"; readonly error: AppError };

export type StreamEvent =
  | { readonly kind: "handshake" }
  | { readonly kind: "prologue"; readonly error: string | null }
  /** An item; carries nothing, so that a token costs no object. */
  | { readonly kind: "item" }
  | { readonly kind: "final" }
  | { readonly kind: "sentinel" }
  | { readonly kind: "closed"; readonly cause?: unknown }
  /** The request or its answer failed for a reason that the error tells; before the prologue it is a refusal. */
  | { readonly kind: "failed"; readonly error: AppError }
  | { readonly kind: "cancel"; readonly cause?: unknown };

const item: StreamEvent = { kind: "item" };
const final: StreamEvent = { kind: "final" };

export function isOver(state: StreamState): boolean {
  return state.kind !== "registered" && state.kind !== "connected" && state.kind !== "open";
}

/** The state after `event`; the same state when the event means nothing in it. */
export function nextState(state: StreamState, event: StreamEvent, instanceId: InstanceId): StreamState {
  if (isOver(state)) return state;
  switch (event.kind) {
    case "handshake":
      return state.kind === "registered" ? { kind: "connected" } : state;
    case "prologue":
      return event.error === null ? { kind: "open" } : refused(`the worker refused the request: ${event.error}`, instanceId);
    case "item":
      return state;
    case "final":
      return { kind: "ended" };
    case "sentinel":
      return lost("the worker ended its stream without complete_final", instanceId);
    case "closed":
      if (state.kind !== "open") return refused("the worker closed the connection before its prologue", instanceId, event.cause);
      return lost("the worker's stream ended before generation completed", instanceId, event.cause);
    case "failed":
      return state.kind === "open" ? { kind: "lost", error: event.error } : { kind: "refused", error: event.error };
    case "cancel":
      return { kind: "cancelled", cause: event.cause };
  }
}

/**
 * What a frame after the handshake means.
 *
 * @throws AppError `protocol_error` for a frame that has no meaning there
 */
export function readFrame(state: StreamState, { header, body }: TwoPartFrame): StreamEvent {
  if (state.kind === "connected") return { kind: "prologue", error: decodePrologue(header) };
  if (header.length === 0) return isFinalFrame(body) ? final : item;
  if (isSentinel(header)) return { kind: "sentinel" };
  throw new AppError("protocol_error", "unknown control frame in a response stream");
}

function refused(reason: string, instanceId: InstanceId, cause?: unknown): StreamState {
  return { kind: "refused", error: notTaken("worker_lost", reason, { instanceId, cause }) };
}

function lost(reason: string, instanceId: InstanceId, cause?: unknown): StreamState {
  return { kind: "lost", error: new AppError("worker_lost", reason, { cause, details: { instance_id: instanceId } }) };
}
