// A message on a subject or stream of KV events, whatever release wrote it.
//
//   { …            JSON: one event by itself (JetStream of ≤ 1.2)
//   anything else  an envelope of MessagePack (NATS core, ZMQ) around one event or a list of them
import { decodeEnvelope } from "./envelope.ts";
import { decodeRouterEvents } from "./router-event.ts";
import { readUsualEnvelope, readUsualJson, type UsualMessage } from "./usual-event.ts";

export type EventMessageContent = UsualMessage;

const openBrace = 0x7b;

/** @throws AppError `protocol_error`; a message is decoded as a whole or not at all */
export function decodeEventMessage(bytes: Uint8Array): EventMessageContent {
  const isJson = bytes[0] === openBrace;
  return (isJson ? readUsualJson(bytes) : readUsualEnvelope(bytes)) ?? decodeAnyEventMessage(bytes);
}

/** The same, of whatever form and order: what `decodeEventMessage` does with a message that is not of the usual form. */
export function decodeAnyEventMessage(bytes: Uint8Array): EventMessageContent {
  if (bytes[0] === openBrace) return { events: decodeRouterEvents(bytes), publisherId: undefined };
  const { publisher_id, payload } = decodeEnvelope(bytes);
  return { events: decodeRouterEvents(payload), publisherId: publisher_id };
}
