// Prompt tokens → routing tokens: what a worker's events will hash, with every image expanded to its run.
//
//   prompt     … <vision_start> <image_pad>    <vision_end> …     one placeholder per image
//   in-vocab   … <vision_start> <image_pad>×N  <vision_end> …     identity travels beside the tokens, in the block infos
//   oov-s1     … <vision_start> <vocab + 1>×N  <vision_end> …     likewise
//   pad        … <vision_start> <pad value>×N  <vision_end> …     identity *is* the token; no infos
//   none       … <vision_start>                                   events of Dynamo ≤ 0.9 say nothing about images
//
// Source: mm_processor.py of Dynamo 1.0.0 and 1.4.0 (ranges), KV publisher of 1.4.2 and 1.6.1 (pads). Vectors: multimodal/routing.json.
// I1  Ranges are half-open [start, end), ascending, disjoint, one per image in prompt order.
// I2  Pads follow the publisher, which looks at one block at a time: in each block the n-th run of the image token gets the pad value of
//     the n-th image that lies in it, the last one's when there are more runs. So two images without a token between them share one pad
//     inside a block, and a block that begins in the second has the second's.
import assert from "node:assert";
import { blockMmInfos, type ImageRange, padBlock, padValue } from "@mm-router/kv";
import { AppError, type BlockMmInfo, type ImageDialect, type MmHash } from "@mm-router/protocol";
import type { IdLayout, ImageModel } from "./image-model.ts";

export interface TokenRange {
  readonly start: number;
  readonly end: number;
}

export interface PlacedImage {
  readonly layout: IdLayout;
  readonly mmHash: MmHash;
}

export interface RoutingTokens {
  readonly tokens: Uint32Array;
  readonly ranges: readonly ImageRange[];
  /** One entry per block, the unfinished last one included; undefined where nothing is appended to a block's tokens. */
  readonly blockMmInfos: (BlockMmInfo | null)[] | undefined;
}

export interface RoutingInput {
  readonly tokenIds: Uint32Array;
  /** In prompt order; may be fewer than the prompt's when `tokenIds` is cut before the first that is missing. */
  readonly images: readonly PlacedImage[];
  readonly model: ImageModel;
  readonly dialect: ImageDialect;
  readonly blockSize: number;
}

/** @throws AppError `invalid_request` when placeholders and images differ in number, `configuration` when the model lacks an id */
export function routingTokensOf(input: RoutingInput): RoutingTokens {
  const { tokenIds, images, model, dialect, blockSize } = input;
  const { placeholderId, imageTokenId } = model;
  if (placeholderId === undefined || imageTokenId === undefined)
    throw new AppError("configuration", "the model's image token is not known");
  if (dialect === "none") return { tokens: beforeImage(tokenIds, placeholderId, 0), ranges: [], blockMmInfos: undefined };
  const expanded = expandTokens(
    tokenIds,
    placeholderId,
    images.map(({ layout }) => layout),
  );
  const ranges = expanded.ranges.map((range, i) => ({ ...range, mmHash: (images[i] as PlacedImage).mmHash }));
  const blocks = Math.ceil(expanded.tokens.length / blockSize);
  const infos = blockMmInfos(ranges, blockSize, blocks * blockSize);
  if (dialect === "pad") {
    pad(expanded.tokens, infos, imageTokenId, blockSize);
    return { tokens: expanded.tokens, ranges, blockMmInfos: undefined };
  }
  if (dialect === "oov-s1") substitute(expanded.tokens, ranges, imageTokenId, oovTokenOf(model));
  return { tokens: expanded.tokens, ranges, blockMmInfos: infos };
}

/** The tokens before the n-th placeholder; all of them when there are not so many. */
export function beforeImage(tokenIds: Uint32Array, placeholderId: number, n: number): Uint32Array {
  let at = tokenIds.indexOf(placeholderId);
  for (let skipped = 0; skipped < n && at >= 0; skipped++) at = tokenIds.indexOf(placeholderId, at + 1);
  return at < 0 ? tokenIds : tokenIds.subarray(0, at);
}

export function countOf(tokenIds: Uint32Array, id: number): number {
  let count = 0;
  for (let at = tokenIds.indexOf(id); at >= 0; at = tokenIds.indexOf(id, at + 1)) count++;
  return count;
}

export interface ExpandedTokens {
  readonly tokens: Uint32Array;
  readonly ranges: readonly TokenRange[];
}

/**
 * Replaces each placeholder by its image's layout.
 *
 * @param layouts one per placeholder, in prompt order
 * @returns tokens of length `tokenIds.length − layouts + Σ total`
 * @throws AppError `invalid_request` when placeholders and layouts differ in number
 */
export function expandTokens(tokenIds: Uint32Array, placeholderId: number, layouts: readonly IdLayout[]): ExpandedTokens {
  const placeholders = countOf(tokenIds, placeholderId);
  if (placeholders !== layouts.length) {
    throw new AppError("invalid_request", `the prompt has ${placeholders} image placeholders for ${layouts.length} images`);
  }
  const added = layouts.reduce((sum, layout) => sum + layout.total - 1, 0);
  const tokens = new Uint32Array(tokenIds.length + added);
  const ranges: TokenRange[] = [];
  let from = 0;
  let end = 0;
  for (const { runs } of layouts) {
    const at = tokenIds.indexOf(placeholderId, from);
    tokens.set(tokenIds.subarray(from, at), end);
    const start = end + at - from;
    end = start;
    for (const { id, count } of runs) tokens.fill(id, end, (end += count));
    ranges.push({ start, end });
    from = at + 1;
  }
  tokens.set(tokenIds.subarray(from), end);
  assert(end + tokenIds.length - from === tokens.length);
  return { tokens, ranges };
}

/** Dynamo 1.0 and 1.2 workers hash an id just outside the vocabulary. */
function oovTokenOf({ vocabularySize }: ImageModel): number {
  if (vocabularySize === undefined) throw new AppError("configuration", "config.json has no vocab_size");
  return vocabularySize + 1;
}

function substitute(tokens: Uint32Array, ranges: readonly TokenRange[], imageTokenId: number, standIn: number): void {
  for (const { start, end } of ranges) {
    for (let at = start; at < end; at++) if (tokens[at] === imageTokenId) tokens[at] = standIn;
  }
}

/** In place, block by block (I2). An image here is one run, so no block of its range is without one. */
function pad(tokens: Uint32Array, infos: readonly (BlockMmInfo | null)[], imageTokenId: number, blockSize: number): void {
  for (const [block, info] of infos.entries()) {
    if (info === null) continue;
    const start = block * blockSize;
    const end = Math.min(start + blockSize, tokens.length);
    const [only, ...others] = info.mm_objects;
    if (only !== undefined && others.length === 0) {
      substitute(tokens, [{ start, end }], imageTokenId, padValue(only.mm_hash)); // nearly always: a large image has hundreds
      continue;
    }
    const publisher = { imageTokenId, blockWithoutRun: "dropped" } as const;
    tokens.set(padBlock(tokens.subarray(start, end), info.mm_objects, publisher).tokens, start);
  }
}
