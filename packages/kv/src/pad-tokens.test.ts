import { blockMmInfoOf, dialectOf } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { expect, it } from "vitest";
import { blockHashes } from "./block-hash.ts";
import { padBlock } from "./pad-tokens.ts";

interface PadCase {
  readonly name: string;
  readonly tokens: readonly number[];
  readonly mm_hashes: readonly string[];
  readonly results: readonly { publisher: string; expect: readonly { releases: readonly string[]; tokens_hash: string }[] }[];
}

const { image_token_id, video_token_id, cases } = golden<{ image_token_id: number; video_token_id: number; cases: PadCase[] }>(
  "kv/pad.json",
);
const tokenIdsOf: Record<string, { imageTokenId?: number; videoTokenId?: number }> = {
  neither: {},
  "image only": { imageTokenId: image_token_id },
  "video only": { videoTokenId: video_token_id },
  both: { imageTokenId: image_token_id, videoTokenId: video_token_id },
};

it("hashes a block with images as the real publishers of each release and kind", () => {
  const wrong: string[] = [];
  let checked = 0;
  for (const { name, tokens, mm_hashes, results } of cases) {
    const { mm_objects } = blockMmInfoOf({ mm_objects: mm_hashes.map((mm_hash) => ({ mm_hash, offsets: [] })) });
    for (const { publisher, expect: expected } of results) {
      for (const { releases, tokens_hash } of expected) {
        for (const release of releases) {
          const { padBlockWithoutRun: blockWithoutRun } = dialectOf(release);
          const block = padBlock(Uint32Array.from(tokens), mm_objects, { ...tokenIdsOf[publisher], blockWithoutRun });
          const hashes = blockHashes({ tokens: block.tokens, blockSize: 8, blockMmInfos: [{ mm_objects: [...block.objects] }] });
          if (String(hashes[0]) !== tokens_hash) wrong.push(`${name}, ${publisher}, ${release}`);
          checked++;
        }
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(checked).toBe(600);
});
