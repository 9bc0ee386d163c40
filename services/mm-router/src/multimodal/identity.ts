// What names an image towards workers that let the request name it (Dynamo ≥ 1.4).
//
//   1  `extra_args.mm_hashes` of the request, where it can be used: taken and forwarded unchanged
//   2  ours    content   first 8 bytes of BLAKE3 over the file; one name for a file under two URLs and as data:
//              url       XXH3-64 of the URL as written; what a Dynamo frontend ≥ 1.4 computes, so hits cross between both frontends
//
// An image that cannot be read gets its URL's name also under `content`: the list must name every image or the worker ignores all of it.
// That is safe, since the engine hashes the content along with the name.
import { xxh3 } from "@mm-router/kv";
import { hex16Of, type MmHash, parseHex } from "@mm-router/protocol";

export type IdentityRule = "content" | "url";

/**
 * The mm_hashes of given names.
 *
 * @returns undefined when the worker would not use them (not one per image) or its publisher would stop at one (no 16 hex digits)
 */
export function hashesOfNames(names: readonly string[] | undefined, imageCount: number): readonly MmHash[] | undefined {
  if (names?.length !== imageCount) return undefined;
  const hashes = names.map(mmHashOfName);
  return hashes.every((hash) => hash !== undefined) ? hashes : undefined;
}

/**
 * The mm_hash of a name in `extra_args.mm_hashes`: its first 16 characters as hex, which is what the worker's publisher takes of it.
 *
 * @returns undefined where the publisher would fail: fewer than 16 characters or others than hex digits
 */
function mmHashOfName(name: string): MmHash | undefined {
  return name.length >= 16 ? (parseHex(name.slice(0, 16)) as MmHash | undefined) : undefined;
}

/** Exactly 16 lower-case digits: longer names are cut by the worker's publisher. */
export function nameOfHash(mmHash: MmHash): string {
  return hex16Of(mmHash);
}

/** Of the URL exactly as received, data: URLs included: `new URL(u).href` would change it. */
export function urlIdentity(url: string): MmHash {
  return xxh3(Buffer.from(url), 0n) as MmHash;
}
