// Which images lie in which block: half-open token ranges → per-block infos.
//
//   blocks   |   0   |   1   |   2   |   3   |         block size 4
//   image A      ────────                              [2, 10)  → blocks 0, 1, 2
//   image B                  ────                      [11, 13) → blocks 2, 3
//
// The wire form of an info is `mm_extra_info` of events and an element of `mm_routing_info.block_mm_infos` of requests.
import type { BlockMmInfo, MmHash } from "@mm-router/protocol";

/** The tokens [start, end) that stand for one image. */
export interface ImageRange {
  readonly start: number;
  readonly end: number;
  readonly mmHash: MmHash;
}

/**
 * One entry per complete block; null where no image lies.
 *
 * A block lists every image that intersects it, in the order of `ranges`, an image that occurs twice twice: TRT-LLM's publisher lists
 * items per block the same way (worker.md §5.2, rule 6). Offsets do not enter a hash and are left empty, as TRT-LLM leaves them.
 */
export function blockMmInfos(ranges: readonly ImageRange[], blockSize: number, tokenCount: number): (BlockMmInfo | null)[] {
  const blocks = Math.floor(tokenCount / blockSize);
  const infos: (BlockMmInfo | null)[] = new Array<BlockMmInfo | null>(blocks).fill(null);
  for (const { start, end, mmHash } of ranges) {
    if (end <= start) continue;
    const last = Math.min(Math.floor((end - 1) / blockSize), blocks - 1);
    for (let block = Math.floor(start / blockSize); block <= last; block++) {
      const info = infos[block] ?? { mm_objects: [] };
      info.mm_objects.push({ mm_hash: mmHash, offsets: [] });
      infos[block] = info;
    }
  }
  return infos;
}
