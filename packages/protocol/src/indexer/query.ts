// `kv_indexer_query`: asking a served index which ranks hold which leading blocks.
//
//   request  {"model_name":"m","block_hashes":[u64…],"device_only":false}                                  device_only may be absent
//   answer   {"data":{"TieredScores":{"device":{"scores":[[{"worker_id":u64,"dp_rank":0},n]],"frequencies":[]},"lower_tier":[]}},
//             "complete_final":false}
//            {"data":{"Error":"…"},"complete_final":false}
//
//   batch    [request, …]   (ours alone)            one such answer per request, in order, a data frame each
//
// The answer is the body of one data frame, not wrapped as an item. Real routers ask in JSON in 1.2, in MessagePack from 1.4 on.
// Source: a real served index and a real asking router of 1.2.1, 1.4.2, 1.6.1; vectors: kv/remote-indexer.json.
// I1  n counts blocks; a rank that holds none is absent.
import { AppError } from "../errors.ts";
import { listMember, recordOf, textMember, u32, type WireRecord } from "../event-plane/wire-record.ts";
import type { InstanceId, WorkerKey } from "../ids.ts";
import { type BodyCodec, decodeBody, encodeBody } from "../request-plane/body-codec.ts";
import { u64 } from "../u64.ts";

export interface IndexerQuery {
  readonly modelName: string;
  /** Local block hashes, first block first. */
  readonly blockHashes: BigUint64Array;
}

export interface RankScore {
  readonly worker: WorkerKey;
  /** Leading blocks that the rank holds, ≥ 1. */
  readonly blocks: number;
}

export type IndexerAnswer =
  | { readonly kind: "scores"; readonly scores: readonly RankScore[] }
  /** The index refuses, e.g. because it does not know the model. */
  | { readonly kind: "error"; readonly message: string };

export function encodeIndexerQuery(codec: BodyCodec, query: IndexerQuery): Buffer {
  return encodeBody(codec, queryWireOf(query));
}

/** Longest batch. */
export const INDEXER_BATCH_MAX = 1_024;

export function encodeIndexerBatch(codec: BodyCodec, queries: readonly IndexerQuery[]): Buffer {
  return encodeBody(codec, queries.map(queryWireOf));
}

/**
 * The queries of a body: one, or those of a batch.
 *
 * @throws AppError `protocol_error` when one of them cannot be read, or there are more than `INDEXER_BATCH_MAX`
 */
export function decodeIndexerQueries(codec: BodyCodec, body: Uint8Array): IndexerQuery[] {
  const value = decodeBody(codec, body);
  if (!Array.isArray(value)) return [queryOf(value)];
  if (value.length > INDEXER_BATCH_MAX) throw new AppError("protocol_error", `a batch has at most ${INDEXER_BATCH_MAX} queries`);
  return value.map(queryOf);
}

function queryWireOf({ modelName, blockHashes }: IndexerQuery): WireRecord {
  return { model_name: modelName, block_hashes: blockHashes, device_only: false };
}

function queryOf(value: unknown): IndexerQuery {
  const record = recordOf(value, "index query");
  const hashes = listMember(record, "block_hashes");
  return { modelName: textMember(record, "model_name"), blockHashes: BigUint64Array.from(hashes, (hash) => u64(hash, "block hash")) };
}

/** The body of the data frame that answers a query. */
export function encodeIndexerAnswer(codec: BodyCodec, answer: IndexerAnswer): Buffer {
  return encodeBody(codec, {
    data: answer.kind === "error" ? { Error: answer.message } : tieredScoresOf(answer.scores),
    complete_final: false,
  });
}

/**
 * The body of a data frame as an answer; lower tiers and frequencies are not read.
 *
 * @throws AppError `protocol_error`
 */
export function decodeIndexerAnswer(codec: BodyCodec, body: Uint8Array): IndexerAnswer {
  const data = recordOf(recordOf(decodeBody(codec, body), "index answer").data, "data");
  if (data.Error !== undefined) return { kind: "error", message: textMember(data, "Error") };
  const device = recordOf(recordOf(data.TieredScores, "TieredScores").device, "device");
  return { kind: "scores", scores: listMember(device, "scores").map(scoreOf) };
}

function tieredScoresOf(scores: readonly RankScore[]): unknown {
  const pairs = scores.map(({ worker, blocks }) => [{ worker_id: worker.workerId, dp_rank: worker.dpRank }, blocks]);
  return { TieredScores: { device: { scores: pairs, frequencies: [] }, lower_tier: [] } };
}

function scoreOf(value: unknown): RankScore {
  if (!Array.isArray(value) || value.length !== 2) throw new AppError("protocol_error", "a score is not a pair");
  const worker = recordOf(value[0], "worker");
  return {
    worker: { workerId: u64(worker.worker_id, "worker_id") as InstanceId, dpRank: u32(worker.dp_rank, "dp_rank") },
    blocks: u32(value[1], "blocks"),
  };
}
