// KV events in the form that publishers really write, read straight from the bytes: members in their order, none unknown.
//
//   bytes ─▶ usual form? ─ yes ─▶ events                        a tenth of the work: no values in between
//                └─ no ─▶ undefined: the reader of everything decides (router-event.ts)
//
// I1  What is read here is what that reader would have made of the bytes, member for member. What it would refuse is not read here.
// I2  Work and memory are bounded by the bytes: nothing is made for a length that a header claims.
import type { BlockHash, ExternalHash, InstanceId, MmHash } from "../ids.ts";
import type { U64 } from "../u64.ts";
import type { BlockMmInfo, KvEvent, KvEventData, MmObject, RouterEvent, StoredBlock } from "./router-event.ts";
import { NotUsual, type UsualCursor, type UsualName, usualName } from "./usual-cursor.ts";
import { UsualJson } from "./usual-json.ts";
import { UsualMsgpack } from "./usual-msgpack.ts";

const names = {
  publisherId: usualName("publisher_id"),
  sequence: usualName("sequence"),
  publishedAt: usualName("published_at"),
  topic: usualName("topic"),
  payload: usualName("payload"),
  workerId: usualName("worker_id"),
  storageTier: usualName("storage_tier"),
  residencyDomain: usualName("residency_domain"),
  event: usualName("event"),
  eventId: usualName("event_id"),
  data: usualName("data"),
  dpRank: usualName("dp_rank"),
  stored: usualName("stored"),
  removed: usualName("removed"),
  parentHash: usualName("parent_hash"),
  startPosition: usualName("start_position"),
  blocks: usualName("blocks"),
  blockHash: usualName("block_hash"),
  blockHashes: usualName("block_hashes"),
  tokensHash: usualName("tokens_hash"),
  mmExtraInfo: usualName("mm_extra_info"),
  mmObjects: usualName("mm_objects"),
  mmHash: usualName("mm_hash"),
  offsets: usualName("offsets"),
} satisfies Record<string, UsualName>;

const words = { cleared: usualName("cleared"), device: usualName("device"), worker: usualName("worker"), kvEvents: usualName("kv-events") };

export interface UsualMessage {
  readonly events: readonly RouterEvent[];
  readonly publisherId: U64 | undefined;
}

/** An envelope of MessagePack with its events; undefined: read it the general way. */
export function readUsualEnvelope(bytes: Uint8Array): UsualMessage | undefined {
  return usually(() => {
    const cursor = new UsualMsgpack(bytes);
    const members = cursor.open();
    const publisherId = u64Member(cursor, names.publisherId, true);
    u64Member(cursor, names.sequence);
    u64Member(cursor, names.publishedAt);
    cursor.member(names.topic);
    cursor.word(words.kvEvents);
    cursor.member(names.payload);
    cursor.close(members, 5);
    cursor.enterTail();
    return { publisherId, events: eventsOf(cursor) };
  });
}

/** One event of JSON; undefined: read it the general way. */
export function readUsualJson(bytes: Uint8Array): UsualMessage | undefined {
  return usually(() => {
    const cursor = new UsualJson(bytes);
    const events = [eventOf(cursor)];
    cursor.end();
    return { publisherId: undefined, events };
  });
}

function usually<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error === NotUsual) return undefined;
    throw error;
  }
}

function eventsOf(cursor: UsualMsgpack): RouterEvent[] {
  const events: RouterEvent[] = [];
  if (cursor.isList()) {
    const count = cursor.openList();
    while (cursor.hasItem(events.length, count)) events.push(eventOf(cursor));
  } else events.push(eventOf(cursor));
  cursor.end();
  return events;
}

function eventOf(cursor: UsualCursor): RouterEvent {
  const members = cursor.open();
  const worker_id = u64Member(cursor, names.workerId, true) as InstanceId;
  const hasTier = cursor.isMember(names.storageTier);
  if (hasTier) cursor.word(words.device);
  const hasDomain = hasTier && cursor.isMember(names.residencyDomain);
  if (hasDomain) cursor.word(words.worker);
  cursor.member(names.event, false);
  const event = kvEventOf(cursor);
  cursor.close(members, 2 + Number(hasTier) + Number(hasDomain));
  if (hasDomain) return { worker_id, storage_tier: "device", residency_domain: "worker", event };
  return hasTier ? { worker_id, storage_tier: "device", event } : { worker_id, event };
}

function kvEventOf(cursor: UsualCursor): KvEvent {
  const members = cursor.open();
  const event_id = u64Member(cursor, names.eventId, true);
  cursor.member(names.data, false);
  const data = dataOf(cursor);
  cursor.member(names.dpRank, false);
  const dp_rank = cursor.u32();
  cursor.close(members, 3);
  return { event_id, data, dp_rank };
}

function dataOf(cursor: UsualCursor): KvEventData {
  if (cursor.isWord(words.cleared)) return "cleared";
  const members = cursor.open();
  const isRemoved = cursor.isFirst(names.removed);
  if (!isRemoved) cursor.member(names.stored, true);
  const data = isRemoved ? { removed: { block_hashes: removedOf(cursor) } } : { stored: storedOf(cursor) };
  cursor.close(members, 1);
  return data;
}

function removedOf(cursor: UsualCursor): ExternalHash[] {
  const members = cursor.open();
  cursor.member(names.blockHashes, true);
  const hashes: ExternalHash[] = [];
  const count = cursor.openList();
  while (cursor.hasItem(hashes.length, count)) hashes.push(cursor.u64() as ExternalHash);
  cursor.close(members, 1);
  return hashes;
}

function storedOf(cursor: UsualCursor): Extract<KvEventData, { stored: object }>["stored"] {
  const members = cursor.open();
  cursor.member(names.parentHash, true);
  const parent_hash = cursor.isNull() ? null : (cursor.u64() as ExternalHash);
  const hasStart = cursor.isMember(names.startPosition);
  const start_position = hasStart && !cursor.isNull() ? cursor.u32() : null;
  cursor.member(names.blocks, false);
  const blocks: StoredBlock[] = [];
  const count = cursor.openList();
  while (cursor.hasItem(blocks.length, count)) blocks.push(blockOf(cursor));
  cursor.close(members, hasStart ? 3 : 2);
  return hasStart ? { parent_hash, start_position, blocks } : { parent_hash, blocks };
}

function blockOf(cursor: UsualCursor): StoredBlock {
  const members = cursor.open();
  const block_hash = u64Member(cursor, names.blockHash, true) as ExternalHash;
  const tokens_hash = u64Member(cursor, names.tokensHash) as BlockHash;
  const hasInfo = cursor.isMember(names.mmExtraInfo);
  const mm_extra_info = hasInfo && !cursor.isNull() ? mmInfoOf(cursor) : null;
  cursor.close(members, hasInfo ? 3 : 2);
  return hasInfo ? { block_hash, tokens_hash, mm_extra_info } : { block_hash, tokens_hash };
}

function mmInfoOf(cursor: UsualCursor): BlockMmInfo {
  const members = cursor.open();
  cursor.member(names.mmObjects, true);
  const mm_objects: MmObject[] = [];
  const count = cursor.openList();
  while (cursor.hasItem(mm_objects.length, count)) mm_objects.push(mmObjectOf(cursor));
  cursor.close(members, 1);
  return { mm_objects };
}

function mmObjectOf(cursor: UsualCursor): MmObject {
  const members = cursor.open();
  const mm_hash = u64Member(cursor, names.mmHash, true) as MmHash;
  cursor.member(names.offsets, false);
  const offsets: (readonly [number, number])[] = [];
  const count = cursor.openList();
  while (cursor.hasItem(offsets.length, count)) offsets.push(offsetOf(cursor));
  cursor.close(members, 2);
  return { mm_hash, offsets };
}

function offsetOf(cursor: UsualCursor): readonly [number, number] {
  const pair: number[] = [];
  const count = cursor.openList();
  while (cursor.hasItem(pair.length, count)) pair.push(cursor.u32());
  if (pair.length !== 2) throw NotUsual;
  return pair as [number, number];
}

function u64Member(cursor: UsualCursor, name: UsualName, isFirst = false): U64 {
  cursor.member(name, isFirst);
  return cursor.u64();
}
