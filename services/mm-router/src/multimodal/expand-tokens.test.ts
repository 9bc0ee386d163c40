import { blockHashes, padValue } from "@mm-router/kv";
import type { ImageDialect, MmHash } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { beforeImage, expandTokens, routingTokensOf } from "./expand-tokens.ts";
import { ImageModel } from "./image-model.ts";

const imageId = 900;
const model = new ImageModel({ config: { model_type: "qwen2_vl", image_token_id: imageId, vocab_size: 1000 }, processor: {} });

interface Prompt {
  tokenIds: Uint32Array;
  counts: number[];
  names: MmHash[];
}

/** Text of any length between, before and behind the images, also none at all. */
const prompts: fc.Arbitrary<Prompt> = fc
  .record({
    first: fc.array(fc.nat(899), { maxLength: 9 }),
    images: fc.array(
      fc.record({
        count: fc.integer({ min: 1, max: 40 }),
        name: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        text: fc.array(fc.nat(899), { maxLength: 9 }),
      }),
      { maxLength: 6 },
    ),
  })
  .map(({ first, images }) => ({
    tokenIds: Uint32Array.from([...first, ...images.flatMap(({ text }) => [imageId, ...text])]),
    counts: images.map(({ count }) => count),
    names: images.map(({ name }) => name as MmHash),
  }));

const blockSizes = fc.constantFrom(1, 4, 16, 32);

function layoutOf(count: number) {
  return { runs: [{ id: imageId, count }], total: count };
}

function route({ tokenIds, counts, names }: Prompt, dialect: ImageDialect, blockSize: number) {
  const images = counts.map((count, i) => ({ layout: layoutOf(count), mmHash: names[i] as MmHash }));
  return routingTokensOf({ tokenIds, images, model, dialect, blockSize });
}

function textOf(tokens: Uint32Array, standIns: ReadonlySet<number>): number[] {
  return Array.from(tokens).filter((token) => !standIns.has(token));
}

describe("routingTokensOf", () => {
  it("keeps the text and gives each image exactly its tokens, in prompt order", () => {
    fc.assert(
      fc.property(prompts, blockSizes, (prompt, blockSize) => {
        const { tokens, ranges } = route(prompt, "in-vocab", blockSize);
        expect(tokens.length).toBe(prompt.tokenIds.length + prompt.counts.reduce((sum, count) => sum + count - 1, 0));
        expect(textOf(tokens, new Set([imageId]))).toEqual(textOf(prompt.tokenIds, new Set([imageId])));
        expect(ranges.map(({ start, end, mmHash }) => [end - start, mmHash])).toEqual(
          prompt.counts.map((count, i) => [count, prompt.names[i]]),
        );
        for (const [i, { start, end }] of ranges.entries()) {
          expect(tokens.subarray(start, end).every((token) => token === imageId)).toBe(true);
          expect(start).toBeGreaterThanOrEqual(i === 0 ? 0 : (ranges[i - 1]?.end ?? 0));
        }
      }),
    );
  });

  it("differs between the dialects in nothing but what stands at image positions", () => {
    fc.assert(
      fc.property(prompts, blockSizes, (prompt, blockSize) => {
        const kept = route(prompt, "in-vocab", blockSize);
        const oov = route(prompt, "oov-s1", blockSize);
        const pad = route(prompt, "pad", blockSize);
        expect([oov.ranges, pad.ranges]).toEqual([kept.ranges, kept.ranges]);
        expect(Array.from(oov.tokens)).toEqual(Array.from(kept.tokens, (token) => (token === imageId ? 1001 : token)));
        const pads = new Set(prompt.names.map(padValue));
        for (const [at, token] of kept.tokens.entries()) {
          if (token === imageId) expect(pads.has(pad.tokens[at] as number)).toBe(true);
          else expect(pad.tokens[at]).toBe(token);
        }
        expect([oov.blockMmInfos, pad.blockMmInfos]).toEqual([kept.blockMmInfos, undefined]);
      }),
    );
  });

  it("lists in each block the images that lie in it, repeats included, and in the unfinished last block too", () => {
    fc.assert(
      fc.property(prompts, blockSizes, (prompt, blockSize) => {
        const { tokens, ranges, blockMmInfos = [] } = route(prompt, "in-vocab", blockSize);
        expect(blockMmInfos).toHaveLength(Math.ceil(tokens.length / blockSize));
        for (const [block, info] of blockMmInfos.entries()) {
          const [from, to] = [block * blockSize, (block + 1) * blockSize];
          const inside = ranges.filter(({ start, end }) => to > start && from < end);
          expect(info?.mm_objects.map(({ mm_hash }) => mm_hash) ?? []).toEqual(inside.map(({ mmHash }) => mmHash));
        }
      }),
    );
  });

  it("gives blocks before an image the hashes that they have in the cut prompt", () => {
    fc.assert(
      fc.property(prompts, fc.nat(5), (prompt, n) => {
        const placed = Math.min(n, prompt.counts.length);
        const blockSize = 4;
        const hashesOf = (dialect: ImageDialect, of: Prompt) => {
          const { tokens, blockMmInfos } = route(of, dialect, blockSize);
          return Array.from(blockHashes({ tokens, blockSize, blockMmInfos }));
        };
        const cut = {
          tokenIds: beforeImage(prompt.tokenIds, imageId, placed),
          counts: prompt.counts.slice(0, placed),
          names: prompt.names.slice(0, placed),
        };
        for (const dialect of ["in-vocab", "oov-s1", "pad"] as const) {
          const whole = hashesOf(dialect, prompt);
          const sure = hashesOf(dialect, cut);
          expect(sure).toEqual(whole.slice(0, sure.length));
        }
      }),
    );
  });

  it("keeps only the text before the first image for workers that publish nothing about images", () => {
    const { tokens, ranges, blockMmInfos } = route(
      { tokenIds: Uint32Array.of(1, 2, imageId, 3), counts: [5], names: [7n as MmHash] },
      "none",
      2,
    );
    expect({ tokens: Array.from(tokens), ranges, blockMmInfos }).toEqual({ tokens: [1, 2], ranges: [], blockMmInfos: undefined });
  });

  it("pads block by block: of two images without a token between them the first names its block, the second the blocks it begins", () => {
    const names = [1n as MmHash, 2n as MmHash];
    const { tokens } = route({ tokenIds: Uint32Array.of(imageId, imageId), counts: [6, 6], names }, "pad", 4);
    expect(Array.from(tokens)).toEqual([...new Array(8).fill(1_000_001), ...new Array(4).fill(1_000_002)]);
  });

  it("expands layouts of several tokens and puts the stand-in only where images enter", () => {
    const runs = [
      { id: imageId, count: 2 },
      { id: 901, count: 1 },
      { id: imageId, count: 2 },
      { id: 902, count: 1 },
    ];
    const image = { layout: { runs, total: 6 }, mmHash: 5n as MmHash };
    const { tokens, ranges } = routingTokensOf({
      tokenIds: Uint32Array.of(1, imageId, 2),
      images: [image],
      model,
      dialect: "oov-s1",
      blockSize: 4,
    });
    expect(Array.from(tokens)).toEqual([1, 1001, 1001, 901, 1001, 1001, 902, 2]);
    expect(ranges).toEqual([{ start: 1, end: 7, mmHash: 5n }]);
  });

  it("refuses another number of placeholders than images, naming both", () => {
    expect(() => expandTokens(Uint32Array.of(imageId, 1), imageId, [])).toThrow("1 image placeholders for 0 images");
    expect(() => expandTokens(Uint32Array.of(1), imageId, [layoutOf(4)])).toThrow("0 image placeholders for 1 images");
  });
});
