// Names for the different u64, so that the compiler tells them apart.
import type { U64 } from "./u64.ts";

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** One process serving endpoints; equal to its etcd lease id (wire: `instance_id`, `worker_id`). */
export type InstanceId = Brand<U64, "InstanceId">;
/** `LocalBlockHash`: a block's tokens and mm_hashes, free of context (wire: `tokens_hash`). */
export type BlockHash = Brand<U64, "BlockHash">;
/** Rolling hash of a block and all blocks before it. */
export type SequenceHash = Brand<U64, "SequenceHash">;
/** The engine's own, opaque name of a block at the end of a path (wire: `block_hash`, `parent_hash`). */
export type ExternalHash = Brand<U64, "ExternalHash">;
/** Names one image's content or URL (wire: `mm_hash`). */
export type MmHash = Brand<U64, "MmHash">;

/** A worker's data-parallel rank: the unit of index, load and events. */
export interface WorkerKey {
  readonly workerId: InstanceId;
  readonly dpRank: number;
}

/** `<decimal worker id>:<rank>`, for Map keys and log lines. */
export function workerKeyText(key: WorkerKey): string {
  return `${key.workerId}:${key.dpRank}`;
}
