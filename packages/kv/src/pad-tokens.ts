// Pad values: how ≥ 1.4 publishers of some models put an image into a block's hash. They replace its placeholder tokens.
//
//   block     t  <img> <img>  t  <img>  t        two runs of the placeholder
//   objects   A, B                               → t pad(A) pad(A) t pad(B) t, and no mm_hash is appended
//
//   publisher created with       objects are appended instead (block-hash.ts) when
//   neither token id             always
//   image token id               never; without a run in the block: 1.4 leaves them out altogether, from 1.5 on they are appended
//   video token id               there are several objects, or no run
//   both                         runs (of both kinds, in order) and objects differ in number
//
// A run is a maximal stretch of one placeholder: an image run that touches a video run is another run.
// Source: kv.md §3.4, seen with real publishers of 1.4.2, 1.5.1, 1.6.1; vectors: kv/pad.json.
import type { MmHash, MmObject } from "@mm-router/protocol";

const padBase = 1_000_000;
const padBits = 0x3fff_ffffn;

/** The token that stands for an image. */
export function padValue(mmHash: MmHash): number {
  return padBase + Number(mmHash & padBits);
}

/** What a publisher was created with. TRT-LLM's knows the image token alone. */
export interface PadPublisher {
  readonly imageTokenId?: number | undefined;
  readonly videoTokenId?: number | undefined;
  /** The dialect's `padBlockWithoutRun`. */
  readonly blockWithoutRun: "dropped" | "appended";
}

/** A block as it is hashed: its tokens, and the objects whose mm_hashes are appended. */
export interface HashedBlock {
  readonly tokens: Uint32Array;
  readonly objects: readonly MmObject[];
}

export function padBlock(tokens: Uint32Array, objects: readonly MmObject[], publisher: PadPublisher): HashedBlock {
  const { imageTokenId, videoTokenId } = publisher;
  const runs = runsOf(tokens, [imageTokenId, videoTokenId]);
  const appended = { tokens, objects };
  if (objects.length === 0 || (imageTokenId === undefined && videoTokenId === undefined)) return appended;
  if (videoTokenId === undefined) {
    if (runs.length === 0) return publisher.blockWithoutRun === "dropped" ? { tokens, objects: [] } : appended;
    return replaced(tokens, runs, (run) => objects[Math.min(run, objects.length - 1)]!);
  }
  if (imageTokenId === undefined) {
    return objects.length === 1 && runs.length > 0 ? replaced(tokens, runs, () => objects[0]!) : appended;
  }
  return runs.length === objects.length ? replaced(tokens, runs, (run) => objects[run]!) : appended;
}

type Run = readonly [start: number, end: number];

function runsOf(tokens: Uint32Array, placeholders: readonly (number | undefined)[]): Run[] {
  const runs: Run[] = [];
  for (let start = 0; start < tokens.length; ) {
    let end = start + 1;
    while (end < tokens.length && tokens[end] === tokens[start]) end++;
    if (placeholders.includes(tokens[start])) runs.push([start, end]);
    start = end;
  }
  return runs;
}

function replaced(tokens: Uint32Array, runs: readonly Run[], objectOf: (run: number) => MmObject): HashedBlock {
  const padded = tokens.slice();
  for (const [index, [start, end]] of runs.entries()) padded.fill(padValue(objectOf(index).mm_hash), start, end);
  return { tokens: padded, objects: [] };
}
