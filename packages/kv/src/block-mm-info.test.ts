import type { MmHash } from "@mm-router/protocol";
import { expect, it } from "vitest";
import { blockMmInfos } from "./block-mm-info.ts";

const a = 5n as MmHash;
const b = 6n as MmHash;

function hashesOf(
  ranges: readonly [start: number, end: number, hash: MmHash][],
  blockSize: number,
  tokenCount: number,
): (bigint[] | null)[] {
  const infos = blockMmInfos(
    ranges.map(([start, end, mmHash]) => ({ start, end, mmHash })),
    blockSize,
    tokenCount,
  );
  return infos.map((info) => info && info.mm_objects.map(({ mm_hash }) => mm_hash));
}

it.each<[string, [number, number, MmHash][], number, (bigint[] | null)[]]>([
  ["lists an image in every block that it touches", [[2, 10, a]], 16, [[5n], [5n], [5n], null]],
  ["takes ranges as half open", [[4, 8, a]], 12, [null, [5n], null]],
  [
    "lists images of one block in prompt order",
    [
      [1, 2, b],
      [2, 3, a],
    ],
    4,
    [[6n, 5n]],
  ],
  [
    "lists an image twice that occurs twice in a block",
    [
      [0, 1, a],
      [2, 3, a],
    ],
    4,
    [[5n, 5n]],
  ],
  ["has no entry for the partial last block", [[4, 7, a]], 7, [null]],
  ["ignores a range without tokens", [[3, 3, a]], 8, [null, null]],
  ["cuts a range that reaches beyond the prompt", [[6, 99, a]], 8, [null, [5n]]],
])("%s", (_, ranges, tokenCount, expected) => {
  expect(hashesOf(ranges, 4, tokenCount)).toEqual(expected);
});
