import { describe, expect, it } from "vitest";
import { cheapest, drawByTemperature } from "./worker-selector.ts";

it("finds every rank of the lowest cost", () => {
  expect(cheapest([3, 1, 2, 1])).toEqual([1, 3]);
  expect(cheapest([4])).toEqual([0]);
});

describe("drawByTemperature", () => {
  /** Shares of the ranks, with evenly spread draws in place of random ones. */
  function shares(costs: readonly number[], temperature: number): number[] {
    const draws = 10_000;
    const counts = costs.map(() => 0);
    for (let i = 0; i < draws; i++) counts[drawByTemperature(costs, temperature, () => (i + 0.5) / draws)]!++;
    return counts.map((count) => count / draws);
  }

  // kv.md §8.3: what 1 000 draws of the real routers spread around
  it.each([
    [[20, 15], 1, [0.269, 0.731]],
    [[20, 15], 0.5, [0.119, 0.881]],
    [[20, 15, 18], 0.2, [0.006, 0.947, 0.047]],
    [[7, 7, 7, 7], 1, [0.25, 0.25, 0.25, 0.25]],
  ])("draws from costs %j at temperature %d with probabilities %j", (costs, temperature, expected) => {
    for (const [index, share] of shares(costs, temperature).entries()) expect(share).toBeCloseTo(expected[index]!, 3);
  });

  it("stays within the ranks for the largest random number", () => {
    expect(drawByTemperature([1, 2, 3], 1, () => 1 - 2 ** -53)).toBe(2);
  });
});
