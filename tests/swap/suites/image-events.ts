// (e) An image in the events of real workers: found by hashes of the routing tokens, and by no others.
//
//   tokens   text × 40 <vision_start> <image> × 6 <vision_end> text × 40        block size 32: the image lies in block 1
//
// The picture is a file whose digest by the worker's own rule is recorded, so nothing of ours names it.
import { blockHashes, blockMmInfos, padValue } from "@mm-router/kv";
import { dialectOf, type MmHash } from "@mm-router/protocol";
import { dataUrl, golden, goldenPath, type Release, specialTokens } from "@mm-router/testkit";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { CellOf } from "../harness/cell.ts";
import { type Index, queryIndex, type Scores, untilHeld } from "../harness/index-query.ts";
import { callInstance } from "../harness/our-client.ts";
import { tokensRequest } from "../harness/tokens-request.ts";

const picture = "jpg_444.jpg"; // 33 × 24 pixels
const pictureTokens = 6; // grown to 84 × 56: 3 × 2 squares of 28
const givenName = 0x1122334455667788n as MmHash;
const textToken = 14_796; // " river", which decodes and encodes to itself
const vocabularySize = 151_936;
const text = Array<number>(40).fill(textToken);
const framed = (image: readonly number[]): number[] => [...text, specialTokens.visionStart, ...image, specialTokens.visionEnd, ...text];

export function imageEventsSuite(cell: CellOf, release: Release): void {
  const { imageDialect } = dialectOf(release);
  if (imageDialect === "none") return; // such events say nothing about images
  describe("our index under real workers, with an image", () => {
    const name = imageDialect === "pad" ? givenName : recordedDigest(picture);

    /** Hashes of the prompt with its image as so many tokens of this name. */
    function hashesOf(mmHash: MmHash, count: number): BigUint64Array {
      const standIn = imageDialect === "pad" ? padValue(mmHash) : vocabularySize + 1;
      const tokens = Uint32Array.from(framed(Array<number>(count).fill(standIn)));
      const start = text.length + 1;
      const infos = imageDialect === "pad" ? [] : blockMmInfos([{ start, end: start + count, mmHash }], 32, tokens.length);
      return blockHashes({ tokens, blockSize: 32, blockMmInfos: infos });
    }

    const ourIndex = (): Index => ({ ...cell(), instanceId: cell().indexer!.instanceId });
    const find = (hashes: BigUint64Array): Promise<Scores> => queryIndex(ourIndex(), hashes);

    beforeAll(async () => {
      const { runtime, place, workers } = cell();
      const request = {
        ...tokensRequest(0),
        token_ids: framed([specialTokens.image]),
        multi_modal_data: { image_url: [{ Url: dataUrl(readFileSync(goldenPath(`multimodal/files/${picture}`)), "image/jpeg") }] },
        extra_args: { mm_hashes: [givenName.toString(16)] },
      };
      expect((await callInstance(runtime, place, workers[0]!, request)).error).toBeUndefined();
      await untilHeld(ourIndex(), blockHashes({ tokens: Uint32Array.from(text), blockSize: 32 }), workers[0]!.instanceId, 1);
    });

    it("finds all blocks, those of the image included", async () => {
      expect(await find(hashesOf(name, pictureTokens))).toEqual(new Map([[cell().workers[0]!.instanceId, 2]]));
    });

    it.each([pictureTokens - 1, pictureTokens + 1])("finds only the text before the image with %i tokens for it", async (count) => {
      expect(await find(hashesOf(name, count))).toEqual(new Map([[cell().workers[0]!.instanceId, 1]]));
    });

    it("finds only the text before the image with another image's name", async () => {
      const another = (name ^ 1n) as MmHash;
      expect(await find(hashesOf(another, pictureTokens))).toEqual(new Map([[cell().workers[0]!.instanceId, 1]]));
    });
  });
}

/** First 8 bytes of the digest of its pixels, recorded with Pillow and BLAKE3. */
function recordedDigest(file: string): MmHash {
  const { cases } = golden<{ cases: { file: string; S1_u64: string }[] }>("multimodal/decode.json");
  return BigInt(cases.find((known) => known.file === file)!.S1_u64) as MmHash;
}
