// `kv_indexer_lookup`: the same question as `kv_indexer_query`, for our own routers: small bytes, answered in the acknowledgement.
//
//   question  u16 BE N | N bytes model name | u64 LE block hashes, first block first
//   answer    0x00 | per rank: u64 LE worker id, u32 LE dp rank, u32 LE blocks
//             0x01 | UTF-8 text of the error
//
// Upstream's form opens a TCP connection for each answer, which costs more than everything else that routes a short prompt. Nobody
// but mm-router asks here; it asks `kv_indexer_query` where no index of ours serves this.
import { Buffer } from "node:buffer";
import { AppError } from "../errors.ts";
import type { InstanceId } from "../ids.ts";
import type { IndexerAnswer, IndexerQuery, RankScore } from "./query.ts";

const U16_BYTES = 2;
const HASH_BYTES = 8;
const SCORE_BYTES = 16;
const kindOf = { scores: 0, error: 1 } as const;

/** @throws AppError `invalid_request` for a model name above 64 KiB */
export function encodeLookup({ modelName, blockHashes }: IndexerQuery): Buffer {
  const nameBytes = Buffer.byteLength(modelName);
  if (nameBytes > 0xffff) throw new AppError("invalid_request", "the model's name exceeds 64 KiB");
  const bytes = Buffer.allocUnsafe(U16_BYTES + nameBytes + blockHashes.byteLength);
  const hashesAt = bytes.writeUInt16BE(nameBytes, 0) + bytes.write(modelName, U16_BYTES);
  bytes.set(new Uint8Array(blockHashes.buffer, blockHashes.byteOffset, blockHashes.byteLength), hashesAt);
  return bytes;
}

/** @throws AppError `protocol_error` */
export function decodeLookup(bytes: Buffer): IndexerQuery {
  const hashesAt = bytes.length < U16_BYTES ? Number.POSITIVE_INFINITY : U16_BYTES + bytes.readUInt16BE(0);
  const hashBytes = bytes.length - hashesAt;
  if (hashBytes < 0 || hashBytes % HASH_BYTES !== 0)
    throw new AppError("protocol_error", `index lookup of ${bytes.length} bytes is cut off`);
  const aligned = new Uint8Array(hashBytes);
  aligned.set(bytes.subarray(hashesAt));
  return { modelName: bytes.toString("utf8", U16_BYTES, hashesAt), blockHashes: new BigUint64Array(aligned.buffer) };
}

export function encodeLookupAnswer(answer: IndexerAnswer): Buffer {
  if (answer.kind === "error") return Buffer.concat([Buffer.of(kindOf.error), Buffer.from(answer.message)]);
  const bytes = Buffer.allocUnsafe(1 + SCORE_BYTES * answer.scores.length);
  let end = bytes.writeUInt8(kindOf.scores, 0);
  for (const { worker, blocks } of answer.scores) {
    end = bytes.writeBigUInt64LE(worker.workerId, end);
    end = bytes.writeUInt32LE(worker.dpRank, end);
    end = bytes.writeUInt32LE(blocks, end);
  }
  return bytes;
}

/** @throws AppError `protocol_error` */
export function decodeLookupAnswer(bytes: Buffer): IndexerAnswer {
  if (bytes[0] === kindOf.error) return { kind: "error", message: bytes.toString("utf8", 1) };
  if (bytes[0] !== kindOf.scores || (bytes.length - 1) % SCORE_BYTES !== 0) {
    throw new AppError("protocol_error", `index answer of ${bytes.length} bytes cannot be read`);
  }
  const scores: RankScore[] = [];
  for (let at = 1; at < bytes.length; at += SCORE_BYTES) {
    const worker = { workerId: bytes.readBigUInt64LE(at) as InstanceId, dpRank: bytes.readUInt32LE(at + 8) };
    scores.push({ worker, blocks: bytes.readUInt32LE(at + 12) });
  }
  return { kind: "scores", scores };
}
