import type { WorkerKey } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { idOf, workerOfRelease } from "../testing.ts";
import { type BusyThresholds, busyWorkers } from "./busy-thresholds.ts";

const ranks = [0, 1].map((dpRank) => ({ workerId: idOf(1), dpRank }));
const worker = workerOfRelease("1.6.1", 1, { ranks, kvBlocks: 100, batchTokensMax: 1_000 });

/** Whether a worker is busy whose ranks have these blocks in use and tokens to prefill. */
function busy(thresholds: BusyThresholds, loads: readonly (readonly [blocks: number, tokens: number])[], facts = {}): boolean | undefined {
  const load = ({ dpRank }: WorkerKey) => ({
    activeDecodeBlocks: loads[dpRank]![0],
    activePrefillTokens: loads[dpRank]![1],
    activeRequests: 1,
  });
  return busyWorkers(thresholds, load)?.({ ...worker, ...facts });
}

describe("busyWorkers", () => {
  it("is nobody without a threshold", () => {
    expect(
      busy({}, [
        [1e9, 1e9],
        [1e9, 1e9],
      ]),
    ).toBeUndefined();
  });

  it.each<[string, BusyThresholds, [number, number], [number, number]]>([
    ["blocks in use", { decodeBlocksShare: 0.5 }, [50, 0], [51, 0]],
    ["prefill tokens", { prefillTokens: 700 }, [0, 700], [0, 701]],
    ["a share of the batch", { prefillShare: 1.5 }, [0, 1_500], [0, 1_501]],
    ["the lower of two limits", { prefillTokens: 700, prefillShare: 0.5 }, [0, 500], [0, 501]],
  ])("is who is above %s, on every rank", (_, thresholds, at, above) => {
    expect(busy(thresholds, [at, at])).toBe(false);
    expect(busy(thresholds, [above, at])).toBe(false);
    expect(busy(thresholds, [above, above])).toBe(true);
  });

  it("is nobody by a share of what the card does not tell", () => {
    const unknown = { kvBlocks: undefined, batchTokensMax: undefined };
    expect(
      busy(
        { decodeBlocksShare: 0, prefillShare: 0 },
        [
          [9, 9],
          [9, 9],
        ],
        unknown,
      ),
    ).toBe(false);
  });
});
