import { sequenceHashes } from "@mm-router/kv";
import { expect, it } from "vitest";
import { SeenBlocks } from "./seen-blocks.ts";

const promptOf = (...blocks: number[]) => sequenceHashes(BigUint64Array.from(blocks, BigInt));

it("counts the leading blocks that an earlier prompt had, and none of another path", () => {
  const blocks = new SeenBlocks();
  expect(blocks.see(promptOf(1, 2, 3))).toBe(0);
  expect(blocks.see(promptOf(1, 2, 3))).toBe(3);
  expect(blocks.see(promptOf(1, 2, 9, 3))).toBe(2);
  expect(blocks.see(promptOf(7, 2, 3))).toBe(0);
  expect(blocks.see(promptOf(1, 2, 9, 3, 4))).toBe(4);
  expect(blocks.see(promptOf())).toBe(0);
});

it("keeps its size and goes on counting after far more blocks than it has places for", () => {
  const blocks = new SeenBlocks();
  for (let prompt = 0; prompt < 200; prompt++) blocks.see(promptOf(...Array.from({ length: 5_000 }, (_, n) => prompt * 10_000 + n)));
  expect(blocks.see(promptOf(5, 6, 7))).toBe(0);
  expect(blocks.see(promptOf(5, 6, 7))).toBe(3);
});
