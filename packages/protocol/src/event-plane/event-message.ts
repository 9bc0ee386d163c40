// A message on a subject or stream of KV events, whatever release wrote it.
//
//   { …            JSON: one event by itself (JetStream of ≤ 1.2)
//   anything else  an envelope of MessagePack (NATS core, ZMQ) around one event or a list of them
import type { U64 } from "../u64.ts";
import { decodeEnvelope } from "./envelope.ts";
import { decodeRouterEvents, type RouterEvent } from "./router-event.ts";

export interface EventMessageContent {
  readonly events: readonly RouterEvent[];
  /** undefined where there is no envelope. */
  readonly publisherId: U64 | undefined;
}

const openBrace = 0x7b;

/** @throws AppError `protocol_error`; a message is decoded as a whole or not at all */
export function decodeEventMessage(bytes: Uint8Array): EventMessageContent {
  if (bytes[0] === openBrace) return { events: decodeRouterEvents(bytes), publisherId: undefined };
  const { publisher_id, payload } = decodeEnvelope(bytes);
  return { events: decodeRouterEvents(payload), publisherId: publisher_id };
}
