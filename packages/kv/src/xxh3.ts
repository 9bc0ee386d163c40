// XXH3-64: the one file that knows which implementation hashes.
//
// A request is hashed with one call for all its blocks, so that an implementation in WASM can take over without a change elsewhere.
import { endianness } from "node:os";
import assert from "node:assert";
import { xxh3 as native } from "@node-rs/xxhash";
import type { U64 } from "@mm-router/protocol";

// Token ids and hashes are viewed as bytes without being copied, and the formulas ask for little-endian bytes.
assert(endianness() === "LE", "hashing needs a little-endian machine");

/** XXH3-64 of `bytes`. */
export function xxh3(bytes: Uint8Array, seed: U64): U64 {
  return native.xxh64(bytes, seed);
}

/**
 * XXH3-64 of adjoining slices.
 *
 * @param bytes  the slices, one after the other
 * @param ends   where each slice ends, in bytes, ascending; slice i starts at `ends[i - 1]` (0 for the first)
 * @returns one hash per slice
 */
export function xxh3Slices(bytes: Uint8Array, ends: Uint32Array, seed: U64): BigUint64Array {
  const hashes = new BigUint64Array(ends.length);
  let start = 0;
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i]!;
    hashes[i] = native.xxh64(bytes.subarray(start, end), seed);
    start = end;
  }
  return hashes;
}

/** Chains hashes: c₀ = h₀, cᵢ = XXH3-64(u64le(cᵢ₋₁) ‖ u64le(hᵢ)). */
export function xxh3Chain(hashes: BigUint64Array, seed: U64): BigUint64Array {
  const chain = new BigUint64Array(hashes.length);
  const pair = new BigUint64Array(2);
  const bytes = new Uint8Array(pair.buffer);
  for (let i = 0; i < hashes.length; i++) {
    pair[0] = chain[i - 1] ?? 0n;
    pair[1] = hashes[i]!;
    chain[i] = i === 0 ? hashes[0]! : native.xxh64(bytes, seed);
  }
  return chain;
}
