// Local block hashes (`LocalBlockHash`, `tokens_hash`): what is in a block, free of what came before it.
//
//   tokens   | t t t t | t t t t | t t          a partial tail has no hash
//   eagle    | t t t t t |                      stride = block size, window = block size + 1
//                      | t t t t t |
//   hash_i = XXH3-64( u32le(tokens of the window) ‖ u64le(mm_hashes of the block, ascending), seed )
//   seed   = 1337 + (lora_name ? XXH3(lora_name, 0) : 0) + (cache_namespace ? XXH3(cache_namespace, 1) : 0)   mod 2^64
//
// Source: compute_block_hash_for_seq of Dynamo 0.7.1 … 1.6.1 (LoRA from 1.0, eagle from 1.2, namespace from 1.4); vectors: kv/hashes.json.
// G1  An mm_hash that occurs twice in a block enters twice; offsets do not enter; an empty list equals null; mm_hash 0 is a value.
// G2  The list of infos may be shorter or longer than the blocks.
import assert from "node:assert";
import type { BlockMmInfo, U64 } from "@mm-router/protocol";
import { xxh3, xxh3Slices } from "./xxh3.ts";

/** Seed of all hashes without LoRA and namespace, and always of the chain of sequence hashes. */
export const hashSeed: U64 = 1337n;

export interface BlockHashInput {
  /** Routing tokens: prompt tokens with every image expanded to its run. */
  readonly tokens: Uint32Array;
  /** Tokens per block, ≥ 1. */
  readonly blockSize: number;
  /** Entry i belongs to block i. */
  readonly blockMmInfos?: readonly (BlockMmInfo | null)[] | undefined;
  /** "" counts as none. */
  readonly loraName?: string | null | undefined;
  /** The request's cache salt; "" counts as none. */
  readonly cacheNamespace?: string | null | undefined;
  readonly isEagle?: boolean | undefined;
}

/** One hash per complete block; no block, no hash. */
export function blockHashes(input: BlockHashInput): BigUint64Array {
  const { tokens, blockSize, blockMmInfos: infos = [] } = input;
  assert(Number.isInteger(blockSize) && blockSize > 0, "block size is a positive integer");
  const window = input.isEagle ? blockSize + 1 : blockSize;
  const count = tokens.length < window ? 0 : Math.floor((tokens.length - window) / blockSize) + 1;
  const bytes = new Uint8Array(4 * window * count + 8 * countObjects(infos, count));
  const ends = new Uint32Array(count);
  let end = 0;
  for (let block = 0; block < count; block++) {
    const start = block * blockSize;
    bytes.set(bytesOf(tokens.subarray(start, start + window)), end);
    end += 4 * window;
    const objects = infos[block]?.mm_objects ?? [];
    if (objects.length > 0) {
      // The default order of a BigUint64Array is the ascending unsigned one.
      const hashes = BigUint64Array.from(objects, (object) => object.mm_hash).sort();
      bytes.set(bytesOf(hashes), end);
      end += 8 * hashes.length;
    }
    ends[block] = end;
  }
  return xxh3Slices(bytes, ends, seedOf(input));
}

function seedOf(input: BlockHashInput): U64 {
  let seed = hashSeed;
  if (input.loraName) seed += xxh3(Buffer.from(input.loraName), 0n);
  if (input.cacheNamespace) seed += xxh3(Buffer.from(input.cacheNamespace), 1n);
  return BigInt.asUintN(64, seed);
}

function countObjects(infos: readonly (BlockMmInfo | null)[], blocks: number): number {
  let count = 0;
  for (let block = 0; block < Math.min(blocks, infos.length); block++) count += infos[block]?.mm_objects.length ?? 0;
  return count;
}

function bytesOf(array: Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
