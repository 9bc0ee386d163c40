// What names an image towards workers that let the request name it (Dynamo ≥ 1.4). Our frontend names the images whose bytes came with
// the request, mm-router the rest: both with this file, so that an image has one name wherever it got it, and is hashed once.
//
//   1  `extra_args.mm_hashes` of the request, where it can be used: taken and forwarded unchanged
//   2  ours    content   first 8 bytes of BLAKE3 over the file; one name for a file under two URLs and as data:
//              url       XXH3-64 of the URL as written; what a Dynamo frontend ≥ 1.4 computes, so hits cross between both frontends
//
// An image that cannot be read gets its URL's name also under `content`: the list must name every image or the worker ignores all of it.
// That is safe with TensorRT-LLM, which hashes the content along with the name.
import { hex16Of, type MmHash, parseHex } from "@mm-router/protocol";
import { xxh3 } from "./xxh3.ts";

export const identityRules = ["content", "url"] as const;
export type IdentityRule = (typeof identityRules)[number];

/**
 * Our name of an image.
 *
 * @param url     as written, `data:` URLs included
 * @param content of its encoded bytes (content-hash.ts); undefined where they could not be read, or the rule asks for none
 */
export function imageNameOf(rule: IdentityRule, url: string, content: MmHash | undefined): MmHash {
  return rule === "content" && content !== undefined ? content : urlIdentity(url);
}

/** Of the URL exactly as received, data: URLs included: `new URL(u).href` would change it. */
export function urlIdentity(url: string): MmHash {
  return xxh3(Buffer.from(url), 0n) as MmHash;
}

/** Exactly 16 lower-case digits: longer names are cut by the worker's publisher. */
export function nameOfHash(mmHash: MmHash): string {
  return hex16Of(mmHash);
}

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
