// Sequence hashes: a block and everything before it, in one u64.
//
//   s₀ = h₀        sᵢ = XXH3-64( u64le(sᵢ₋₁) ‖ u64le(hᵢ), seed 1337 )
//
// The chain's seed is 1337 also for LoRA and cache namespaces: those are in h already.
// Source: read out of the replica-sync events of Dynamo 0.9.1 … 1.6.1; vectors: kv/load-and-sync.json.
import { hashSeed } from "./block-hash.ts";
import { xxh3Chain } from "./xxh3.ts";

/** One sequence hash per block hash. */
export function sequenceHashes(blockHashes: BigUint64Array): BigUint64Array {
  return xxh3Chain(blockHashes, hashSeed);
}
