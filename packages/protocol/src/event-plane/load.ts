// Load of a worker's rank (`kv_metrics`) and, in 0.9 alone, the hit rate of each routing decision (`kv-hit-rate`).
//
//   kv_metrics    { worker_id, dp_rank, active_decode_blocks, active_prefill_tokens [, kv_used_blocks, from 1.2] }
//   kv-hit-rate   { worker_id, dp_rank, isl_blocks, overlap_blocks }
//
// Workers send it, and routers up to 1.4 after each change of theirs. Routing never reads it: it serves busy detection.
// Source: kv.md §9.1; vectors: kv/load-and-sync.json.
import type { InstanceId } from "../ids.ts";
import { decodeMsgpack, encodeMsgpack } from "../msgpack.ts";
import { u64, type U64 } from "../u64.ts";
import { optional, recordOf, u32 } from "./wire-record.ts";

export interface ActiveLoad {
  readonly worker_id: InstanceId;
  readonly dp_rank: number;
  /** TRT-LLM fills it up to 1.0. */
  readonly active_decode_blocks: U64 | null;
  readonly active_prefill_tokens: U64 | null;
  /** TRT-LLM fills it from 1.2 on; absent before. */
  readonly kv_used_blocks?: U64 | null;
}

export interface KvHitRate {
  readonly worker_id: InstanceId;
  readonly dp_rank: number;
  /** Rounded up. */
  readonly isl_blocks: U64;
  readonly overlap_blocks: U64;
}

export function encodeActiveLoad(load: ActiveLoad): Uint8Array {
  const { worker_id, dp_rank, active_decode_blocks, active_prefill_tokens, kv_used_blocks } = load;
  const always = { worker_id, dp_rank, active_decode_blocks, active_prefill_tokens };
  return encodeMsgpack(kv_used_blocks === undefined ? always : { ...always, kv_used_blocks });
}

/** @throws AppError `protocol_error` */
export function decodeActiveLoad(payload: Uint8Array): ActiveLoad {
  const record = recordOf(decodeMsgpack(payload), "kv_metrics");
  const count = (name: string) => optional(record[name], (value) => u64(value, name));
  return {
    worker_id: u64(record.worker_id, "worker_id") as InstanceId,
    dp_rank: u32(record.dp_rank, "dp_rank"),
    active_decode_blocks: count("active_decode_blocks"),
    active_prefill_tokens: count("active_prefill_tokens"),
    ...(record.kv_used_blocks !== undefined && { kv_used_blocks: count("kv_used_blocks") }),
  };
}

export function encodeKvHitRate({ worker_id, dp_rank, isl_blocks, overlap_blocks }: KvHitRate): Uint8Array {
  return encodeMsgpack({ worker_id, dp_rank, isl_blocks, overlap_blocks });
}

/** @throws AppError `protocol_error` */
export function decodeKvHitRate(payload: Uint8Array): KvHitRate {
  const record = recordOf(decodeMsgpack(payload), "kv-hit-rate");
  return {
    worker_id: u64(record.worker_id, "worker_id") as InstanceId,
    dp_rank: u32(record.dp_rank, "dp_rank"),
    isl_blocks: u64(record.isl_blocks, "isl_blocks"),
    overlap_blocks: u64(record.overlap_blocks, "overlap_blocks"),
  };
}
