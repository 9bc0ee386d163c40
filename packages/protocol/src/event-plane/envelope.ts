// The envelope of NATS core and ZMQ messages (Dynamo ≥ 0.9): a MessagePack map with its keys in this order.
//
//   publisher_id  u64   ≤ 1.2 the worker's instance id, shared by its ranks; ≥ 1.4 random, below 2^53, one per rank
//   sequence      u64   per publisher object, from 0
//   published_at  u64   Unix ms
//   topic         str   kv-events, kv_metrics, active_sequences_events, kv-hit-rate, …
//   payload       bin   MessagePack of the message proper
//
// Source: kv.md §4.2; vectors: kv/events-wire.json, kv/load-and-sync.json.
// G1  (publisher_id, sequence) is no key in ≤ 1.2: each rank has its own sequence.
import { AppError } from "../errors.ts";
import { decodeMsgpack, encodeMsgpack } from "../msgpack.ts";
import { u64, type U64 } from "../u64.ts";
import { recordOf, textMember } from "./wire-record.ts";

export interface EventEnvelope {
  readonly publisher_id: U64;
  readonly sequence: U64;
  /** Unix time, ms. */
  readonly published_at: U64;
  readonly topic: string;
  readonly payload: Uint8Array;
}

export function encodeEnvelope({ publisher_id, sequence, published_at, topic, payload }: EventEnvelope): Uint8Array {
  return encodeMsgpack({ publisher_id, sequence, published_at, topic, payload });
}

/** @throws AppError `protocol_error` */
export function decodeEnvelope(bytes: Uint8Array): EventEnvelope {
  const record = recordOf(decodeMsgpack(bytes), "envelope");
  const { payload } = record;
  if (!(payload instanceof Uint8Array)) throw new AppError("protocol_error", "payload is not binary");
  return {
    publisher_id: u64(record.publisher_id, "publisher_id"),
    sequence: u64(record.sequence, "sequence"),
    published_at: u64(record.published_at, "published_at"),
    topic: textMember(record, "topic"),
    payload,
  };
}
