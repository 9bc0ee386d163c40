// Recovery queries: asking a worker's own index for the events of one rank, or for all that the rank holds.
//
//   request  {"worker_id":u64,"start_event_id":u64|null,"end_event_id":u64|null,"dp_rank":n}        dp_rank is required from 1.4 on
//   answer   {"data":VARIANT,"complete_final":false}                                                 one data frame, not wrapped as an item
//   VARIANT  0.9, 1.0   {"Events":[event…]}                                 {"TreeDump":[event…]}
//            from 1.2   {"Events":{"events":[…],"last_event_id":n}}         {"TreeDump":{"events":[…],"last_event_id":n}}
//            from 1.5                                                        … "reset_scope":"all"}}
//            {"TooNew":{"requested_start","requested_end","newest_available"}} · {"InvalidRange":{"start_id","end_id"}} · {"Error":"…"}
//
// Source: kv.md §5.2; vectors: kv/indexer-query.json (0.9.1 … 1.6.1). Workers ignore members they do not know, so one request fits all.
// G1  A request that a worker cannot read is acknowledged and never answered: keep a timer.
// G2  start null, or older than the ring of recent events (1024), gives a dump. Event ids of a dump are made up, 0, 1, 2 …: never a cursor.
// G3  `end` is honoured up to 1.0 only. TooNew with newest = start − 1 means that nothing is new.
import { AppError } from "../errors.ts";
import { type RouterEvent, routerEventOf, eventWireOf } from "../event-plane/router-event.ts";
import { listMember, optional, recordOf, textMember, u32, type WireRecord } from "../event-plane/wire-record.ts";
import type { InstanceId, WorkerKey } from "../ids.ts";
import { type BodyCodec, decodeBody, encodeBody } from "../request-plane/body-codec.ts";
import { u64, type U64 } from "../u64.ts";

export interface RecoveryQuery {
  readonly worker: WorkerKey;
  /** null: everything that the rank holds now. */
  readonly start: U64 | null;
  readonly end: U64 | null;
}

export type RecoveryAnswer =
  /** Events with their own ids; `lastEventId` from 1.2 on. */
  | { readonly kind: "events"; readonly events: readonly RouterEvent[]; readonly lastEventId?: U64 }
  /** `stored` events, parents first, with made-up ids; `lastEventId` (from 1.2 on) is the last event that they reflect. */
  | { readonly kind: "dump"; readonly events: readonly RouterEvent[]; readonly lastEventId?: U64; readonly resetScope?: string }
  | { readonly kind: "too_new"; readonly requestedStart: U64; readonly requestedEnd: U64; readonly newestAvailable: U64 }
  | { readonly kind: "invalid_range"; readonly start: U64; readonly end: U64 }
  | { readonly kind: "error"; readonly message: string };

export function encodeRecoveryQuery(codec: BodyCodec, { worker, start, end }: RecoveryQuery): Buffer {
  return encodeBody(codec, { worker_id: worker.workerId, start_event_id: start, end_event_id: end, dp_rank: worker.dpRank });
}

/** `dp_rank` may be absent (≤ 1.2): 0. Throws AppError `protocol_error`. */
export function decodeRecoveryQuery(codec: BodyCodec, body: Uint8Array): RecoveryQuery {
  const record = recordOf(decodeBody(codec, body), "recovery query");
  const eventId = (name: string) => optional(record[name], (value) => u64(value, name));
  return {
    worker: { workerId: u64(record.worker_id, "worker_id") as InstanceId, dpRank: u32(record.dp_rank ?? 0, "dp_rank") },
    start: eventId("start_event_id"),
    end: eventId("end_event_id"),
  };
}

/** The body of the data frame that answers a query. */
export function encodeRecoveryAnswer(codec: BodyCodec, answer: RecoveryAnswer): Buffer {
  return encodeBody(codec, { data: variantOf(answer), complete_final: false });
}

/** @throws AppError `protocol_error`, also for a variant that no tested release sends */
export function decodeRecoveryAnswer(codec: BodyCodec, body: Uint8Array): RecoveryAnswer {
  const data = recordOf(recordOf(decodeBody(codec, body), "recovery answer").data, "data");
  if (data.Events !== undefined) return { kind: "events", ...eventsOf(data.Events) };
  if (data.TreeDump !== undefined) return { kind: "dump", ...eventsOf(data.TreeDump) };
  if (data.TooNew !== undefined) return tooNewOf(recordOf(data.TooNew, "TooNew"));
  if (data.InvalidRange !== undefined) return invalidRangeOf(recordOf(data.InvalidRange, "InvalidRange"));
  if (data.Error !== undefined) return { kind: "error", message: textMember(data, "Error") };
  throw new AppError("protocol_error", `recovery answer of an unknown kind: ${Object.keys(data).join(", ")}`);
}

function eventsOf(value: unknown): { events: RouterEvent[]; lastEventId?: U64; resetScope?: string } {
  if (Array.isArray(value)) return { events: value.map(routerEventOf) };
  const record = recordOf(value, "events");
  return {
    events: listMember(record, "events").map(routerEventOf),
    lastEventId: u64(record.last_event_id, "last_event_id"),
    ...(typeof record.reset_scope === "string" && { resetScope: record.reset_scope }),
  };
}

function tooNewOf(record: WireRecord): RecoveryAnswer {
  return {
    kind: "too_new",
    requestedStart: u64(record.requested_start, "requested_start"),
    requestedEnd: u64(record.requested_end, "requested_end"),
    newestAvailable: u64(record.newest_available, "newest_available"),
  };
}

function invalidRangeOf(record: WireRecord): RecoveryAnswer {
  return { kind: "invalid_range", start: u64(record.start_id, "start_id"), end: u64(record.end_id, "end_id") };
}

function variantOf(answer: RecoveryAnswer): WireRecord {
  switch (answer.kind) {
    case "events":
      return { Events: eventsWireOf(answer) };
    case "dump":
      return { TreeDump: eventsWireOf(answer) };
    case "too_new": {
      const { requestedStart, requestedEnd, newestAvailable } = answer;
      return { TooNew: { requested_start: requestedStart, requested_end: requestedEnd, newest_available: newestAvailable } };
    }
    case "invalid_range":
      return { InvalidRange: { start_id: answer.start, end_id: answer.end } };
    case "error":
      return { Error: answer.message };
  }
}

function eventsWireOf(answer: { events: readonly RouterEvent[]; lastEventId?: U64; resetScope?: string }): unknown {
  const events = answer.events.map(eventWireOf);
  if (answer.lastEventId === undefined) return events;
  return { events, last_event_id: answer.lastEventId, reset_scope: answer.resetScope };
}
