// Replica sync: what each router has running on which rank, told to the other replicas.
//
//   { request_id, worker: { worker_id, dp_rank }, data, router_id [, lora_name, from 1.0] }
//   data   { "AddRequest": { token_sequence, isl, overlap, expected_output_tokens } }                                          0.9, 1.0
//          { "AddRequest": { token_sequence, track_prefill_tokens, expected_output_tokens,
//                            prefill_load_hint: { initial_effective_prefill_tokens, expected_prefill_duration } } }            from 1.2
//          "MarkPrefillCompleted" | "Free"
//
// One to a message on NATS; over ZMQ from 1.4 on a list of them: {"events": […]} (seen: 1.2.1, 1.4.2, 1.6.1).
//
// `token_sequence` holds the sequence hashes of the full blocks: empty for a short request, null when blocks are not tracked.
// Source: kv.md §9.2; vectors: kv/load-and-sync.json. Decode is lenient to both forms and keeps which one it was.
import { AppError } from "../errors.ts";
import type { InstanceId, SequenceHash, WorkerKey } from "../ids.ts";
import { decodeMsgpack, encodeMsgpack } from "../msgpack.ts";
import { u64, type U64 } from "../u64.ts";
import { listMember, optional, recordOf, textMember, u32, type WireRecord } from "./wire-record.ts";

interface AddRequestCommon {
  readonly token_sequence: readonly SequenceHash[] | null;
  readonly expected_output_tokens: number | null;
}

/** 0.9 and 1.0: the receiver subtracts the overlap (in blocks) itself. */
export interface AddRequestWithOverlap extends AddRequestCommon {
  readonly isl: U64;
  readonly overlap: U64;
}

/** From 1.2 on: tokens still to be prefilled, overlap already subtracted; the duration's form is not known (always null). */
export interface AddRequestWithHint extends AddRequestCommon {
  readonly track_prefill_tokens: boolean;
  readonly prefill_load_hint: { readonly initial_effective_prefill_tokens: U64; readonly expected_prefill_duration: unknown } | null;
}

export type AddRequest = AddRequestWithOverlap | AddRequestWithHint;
export type ActiveSequenceData = { readonly AddRequest: AddRequest } | "MarkPrefillCompleted" | "Free";

export interface ActiveSequenceEvent {
  readonly request_id: string;
  readonly worker: WorkerKey;
  readonly data: ActiveSequenceData;
  /** The sender; a router skips its own. */
  readonly router_id: InstanceId;
  readonly lora_name?: string | null;
}

export function encodeActiveSequence(event: ActiveSequenceEvent): Uint8Array {
  return encodeMsgpack(wireOf(event));
}

/** The form of ≥ 1.4 over ZMQ. */
export function encodeActiveSequenceList(events: readonly ActiveSequenceEvent[]): Uint8Array {
  return encodeMsgpack({ events: events.map(wireOf) });
}

function wireOf({ request_id, worker, data, router_id, lora_name }: ActiveSequenceEvent): WireRecord {
  const always = {
    request_id,
    worker: { worker_id: worker.workerId, dp_rank: worker.dpRank },
    data: typeof data === "string" ? data : { AddRequest: addRequestWireOf(data.AddRequest) },
    router_id,
  };
  return lora_name === undefined ? always : { ...always, lora_name };
}

/**
 * The events of a message in either form.
 *
 * @throws AppError `protocol_error`
 */
export function decodeActiveSequences(payload: Uint8Array): ActiveSequenceEvent[] {
  const record = recordOf(decodeMsgpack(payload), "active sequence event");
  return record.events === undefined ? [eventOf(record)] : listMember(record, "events").map((event) => eventOf(recordOf(event, "event")));
}

function eventOf(record: WireRecord): ActiveSequenceEvent {
  const worker = recordOf(record.worker, "worker");
  return {
    request_id: textMember(record, "request_id"),
    worker: { workerId: u64(worker.worker_id, "worker_id") as InstanceId, dpRank: u32(worker.dp_rank, "dp_rank") },
    data: dataOf(record.data),
    router_id: u64(record.router_id, "router_id") as InstanceId,
    ...(record.lora_name !== undefined && { lora_name: optional(record.lora_name, () => textMember(record, "lora_name")) }),
  };
}

function addRequestWireOf(request: AddRequest): WireRecord {
  const { token_sequence, expected_output_tokens } = request;
  if ("isl" in request) return { token_sequence, isl: request.isl, overlap: request.overlap, expected_output_tokens };
  const { track_prefill_tokens, prefill_load_hint } = request;
  return {
    token_sequence,
    track_prefill_tokens,
    expected_output_tokens,
    prefill_load_hint: prefill_load_hint && hintWireOf(prefill_load_hint),
  };
}

function hintWireOf(hint: NonNullable<AddRequestWithHint["prefill_load_hint"]>): WireRecord {
  const { initial_effective_prefill_tokens, expected_prefill_duration } = hint;
  return { initial_effective_prefill_tokens, expected_prefill_duration };
}

function dataOf(value: unknown): ActiveSequenceData {
  if (value === "MarkPrefillCompleted" || value === "Free") return value;
  return { AddRequest: addRequestOf(recordOf(recordOf(value, "data").AddRequest, "AddRequest")) };
}

function addRequestOf(record: WireRecord): AddRequest {
  const common = {
    token_sequence: optional(record.token_sequence, () => hashesOf(listMember(record, "token_sequence"))),
    expected_output_tokens: optional(record.expected_output_tokens, (tokens) => u32(tokens, "expected_output_tokens")),
  };
  if (record.isl !== undefined) return { ...common, isl: u64(record.isl, "isl"), overlap: u64(record.overlap, "overlap") };
  const { track_prefill_tokens = true } = record;
  if (typeof track_prefill_tokens !== "boolean") throw new AppError("protocol_error", "track_prefill_tokens is not a boolean");
  return { ...common, track_prefill_tokens, prefill_load_hint: optional(record.prefill_load_hint, hintOf) };
}

function hintOf(value: unknown): NonNullable<AddRequestWithHint["prefill_load_hint"]> {
  const record = recordOf(value, "prefill_load_hint");
  return {
    initial_effective_prefill_tokens: u64(record.initial_effective_prefill_tokens, "initial_effective_prefill_tokens"),
    expected_prefill_duration: record.expected_prefill_duration ?? null,
  };
}

function hashesOf(values: readonly unknown[]): SequenceHash[] {
  return values.map((value) => u64(value, "sequence hash") as SequenceHash);
}
