// BLAKE3 of an image's encoded bytes, and the u64 that is taken of any BLAKE3 digest.
//
//   mm_hash   first 8 digest bytes, big-endian (block hashing is little-endian!)
import { Blake3Hasher, blake3 } from "@napi-rs/blake-hash";
import type { MmHash } from "@mm-router/protocol";

/** Hashes a file while it arrives. */
export class ContentHash {
  readonly #hasher = new Blake3Hasher();

  update(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
  }

  /** 32 digest bytes. */
  digest(): Buffer {
    return this.#hasher.digestBuffer();
  }
}

/** Of a whole file at once. @returns 32 digest bytes */
export function contentDigest(encoded: Uint8Array): Buffer {
  return blake3(encoded);
}

export function mmHashOf(digest: Buffer): MmHash {
  return digest.readBigUInt64BE(0) as MmHash;
}
