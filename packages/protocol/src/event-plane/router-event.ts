// KV cache events: which blocks a worker's rank has stored or removed.
//
//   0.7, 0.9, 1.0   { worker_id,                                 event: { event_id, data, dp_rank } }
//   1.2, 1.4        { worker_id, storage_tier,                   event }
//   1.5, 1.6        { worker_id, storage_tier, residency_domain, event [, state_source] [, session_id] }
//   data            { "stored":  { parent_hash, [start_position, from 1.2] blocks: [{ block_hash, tokens_hash, [mm_extra_info, from 0.9] }] } }
//                   { "removed": { block_hashes } }
//                   "cleared"
//
// One message holds one event (≤ 1.2; JSON on JetStream, MessagePack inside the envelope on NATS core and ZMQ) or a list of them (≥ 1.4,
// MessagePack). Source: kv.md §4.1, §4.2; vectors: kv/events-wire.json.
// I1  decode keeps which optional members were there, so that encode gives the same bytes; members it does not know are dropped.
// I2  every hash is a bigint: a small hash arrives as a small integer.
import { AppError } from "../errors.ts";
import type { BlockHash, ExternalHash, InstanceId, MmHash } from "../ids.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { decodeMsgpack, encodeMsgpack } from "../msgpack.ts";
import { u64, type U64 } from "../u64.ts";
import { listMember, optional, recordOf, u32, type WireRecord } from "./wire-record.ts";

/** One image in a block. TRT-LLM leaves `offsets` empty. */
export interface MmObject {
  readonly mm_hash: MmHash;
  readonly offsets: readonly (readonly [number, number])[];
}

/** What lies in a block besides its tokens, in the order of the prompt. */
export interface BlockMmInfo {
  readonly mm_objects: MmObject[];
}

export interface StoredBlock {
  /** The engine's name of this block at the end of this path. */
  readonly block_hash: ExternalHash;
  readonly tokens_hash: BlockHash;
  readonly mm_extra_info?: BlockMmInfo | null;
}

export interface StoredBlocks {
  /** null: the blocks begin a prompt. */
  readonly parent_hash: ExternalHash | null;
  readonly start_position?: number | null;
  readonly blocks: readonly StoredBlock[];
}

export interface RemovedBlocks {
  readonly block_hashes: readonly ExternalHash[];
}

export type KvEventData = { readonly stored: StoredBlocks } | { readonly removed: RemovedBlocks } | "cleared";

export interface KvEvent {
  /** Consecutive per rank, except in 0.9, where it is the engine's own. */
  readonly event_id: U64;
  readonly data: KvEventData;
  readonly dp_rank: number;
}

const storageTiers = ["device", "host_pinned", "disk", "external"] as const;
const residencyDomains = ["worker", "cache_owner"] as const;
export type StorageTier = (typeof storageTiers)[number];
export type ResidencyDomain = (typeof residencyDomains)[number];

export interface RouterEvent {
  readonly worker_id: InstanceId;
  readonly storage_tier?: StorageTier;
  readonly residency_domain?: ResidencyDomain;
  readonly event: KvEvent;
}

/** How the events of one message are written. */
export type EventCodec = "json" | "msgpack";

/** The first byte of a JSON object; in MessagePack it would be the integer 123. */
const openBrace = 0x7b;

/**
 * The events of one message, whatever release wrote it: a JSON object, a MessagePack map, or a MessagePack list of maps.
 *
 * @throws AppError `protocol_error`; a message is decoded as a whole or not at all
 */
export function decodeRouterEvents(bytes: Uint8Array): RouterEvent[] {
  const value = bytes[0] === openBrace ? parseJson(bytes) : decodeMsgpack(bytes);
  return Array.isArray(value) ? value.map(routerEventOf) : [routerEventOf(value)];
}

/** One event as ≤ 1.2 publishes it, `json` on JetStream. */
export function encodeRouterEvent(event: RouterEvent, codec: EventCodec): Uint8Array {
  return codec === "json" ? Buffer.from(stringifyJson(eventWireOf(event))) : encodeMsgpack(eventWireOf(event));
}

/** The events of one message as ≥ 1.4 publishes them. */
export function encodeRouterEventList(events: readonly RouterEvent[]): Uint8Array {
  return encodeMsgpack(events.map(eventWireOf));
}

/** A decoded JSON or MessagePack value as an event. Throws AppError `protocol_error`. */
export function routerEventOf(value: unknown): RouterEvent {
  const record = recordOf(value, "event");
  const tier = record.storage_tier;
  const domain = record.residency_domain;
  return {
    worker_id: u64(record.worker_id, "worker_id") as InstanceId,
    ...(tier !== undefined && { storage_tier: oneOf(storageTiers, tier, "storage_tier") }),
    // null and unknown words mean state that is not this worker's: upstream refuses the event, an absent member is fine.
    ...(domain !== undefined && { residency_domain: oneOf(residencyDomains, domain, "residency_domain") }),
    event: kvEventOf(recordOf(record.event, "event.event")),
  };
}

/** Blocks that an event stores or removes. */
export function blocksIn({ event: { data } }: RouterEvent): number {
  if (data === "cleared") return 0;
  return "stored" in data ? data.stored.blocks.length : data.removed.block_hashes.length;
}

/** The members in the order in which every release writes them. */
export function eventWireOf({ worker_id, storage_tier, residency_domain, event }: RouterEvent): WireRecord {
  return {
    worker_id,
    ...(storage_tier !== undefined && { storage_tier }),
    ...(residency_domain !== undefined && { residency_domain }),
    event: { event_id: event.event_id, data: dataWireOf(event.data), dp_rank: event.dp_rank },
  };
}

function dataWireOf(data: KvEventData): unknown {
  if (data === "cleared") return data;
  if ("removed" in data) return { removed: { block_hashes: data.removed.block_hashes } };
  const { parent_hash, start_position, blocks } = data.stored;
  return { stored: { parent_hash, ...(start_position !== undefined && { start_position }), blocks: blocks.map(blockWireOf) } };
}

function blockWireOf({ block_hash, tokens_hash, mm_extra_info }: StoredBlock): WireRecord {
  if (mm_extra_info === undefined) return { block_hash, tokens_hash };
  return { block_hash, tokens_hash, mm_extra_info: mm_extra_info && mmInfoWireOf(mm_extra_info) };
}

function mmInfoWireOf(info: BlockMmInfo): WireRecord {
  return { mm_objects: info.mm_objects.map(({ mm_hash, offsets }) => ({ mm_hash, offsets })) };
}

function kvEventOf(record: WireRecord): KvEvent {
  return {
    event_id: u64(record.event_id, "event_id"),
    data: dataOf(record.data),
    dp_rank: record.dp_rank === undefined || record.dp_rank === null ? 0 : u32(record.dp_rank, "dp_rank"),
  };
}

function dataOf(value: unknown): KvEventData {
  if (value === "cleared") return value;
  const record = recordOf(value, "event data");
  if (record.stored !== undefined) return { stored: storedOf(recordOf(record.stored, "stored")) };
  if (record.removed !== undefined) {
    const hashes = listMember(recordOf(record.removed, "removed"), "block_hashes");
    return { removed: { block_hashes: hashes.map((hash) => u64(hash, "block_hash") as ExternalHash) } };
  }
  throw new AppError("protocol_error", "event data is neither stored, removed nor cleared");
}

function storedOf(record: WireRecord): StoredBlocks {
  const start = record.start_position;
  return {
    parent_hash: optional(record.parent_hash, (hash) => u64(hash, "parent_hash") as ExternalHash),
    ...(start !== undefined && { start_position: optional(start, (position) => u32(position, "start_position")) }),
    blocks: listMember(record, "blocks").map(blockOf),
  };
}

function blockOf(value: unknown): StoredBlock {
  const { block_hash, tokens_hash, mm_extra_info } = recordOf(value, "block");
  const block = { block_hash: u64(block_hash, "block_hash") as ExternalHash, tokens_hash: u64(tokens_hash, "tokens_hash") as BlockHash };
  return mm_extra_info === undefined ? block : { ...block, mm_extra_info: optional(mm_extra_info, blockMmInfoOf) };
}

/** A decoded JSON or MessagePack value as the images of one block. Throws AppError `protocol_error`. */
export function blockMmInfoOf(value: unknown): BlockMmInfo {
  const objects = listMember(recordOf(value, "mm info"), "mm_objects");
  return { mm_objects: objects.map((object) => mmObjectOf(recordOf(object, "mm object"))) };
}

function mmObjectOf(record: WireRecord): MmObject {
  const offsets = record.offsets === undefined ? [] : listMember(record, "offsets");
  return { mm_hash: u64(record.mm_hash, "mm_hash") as MmHash, offsets: offsets.map(offsetOf) };
}

function offsetOf(value: unknown): readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw new AppError("protocol_error", "an offset is not a pair");
  return [u32(value[0], "offset"), u32(value[1], "offset")];
}

function oneOf<T extends string>(words: readonly T[], value: unknown, what: string): T {
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw new AppError("protocol_error", `${what} is none of ${words.join(", ")}`);
  return word;
}
