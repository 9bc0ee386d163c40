import type { ActiveLoad, InstanceId, ModelCard } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { type BusyThresholds, BusyWorkers } from "./busy-workers.ts";

const id = 1n as InstanceId;
const off: BusyThresholds = { decodeBlocks: undefined, prefillTokens: undefined, prefillTokensFrac: undefined };
const card = (config: object) => ({ runtime_config: { total_kv_blocks: 100, max_num_batched_tokens: 1000, ...config } }) as ModelCard;
const load = (blocks: bigint | null, tokens: bigint | null): ActiveLoad => ({
  worker_id: id,
  dp_rank: 0,
  active_decode_blocks: blocks,
  active_prefill_tokens: tokens,
});

function isBusy(thresholds: Partial<BusyThresholds>, ranks: readonly ActiveLoad[], config = {}): boolean {
  const loads = new Map(ranks.map((each, rank) => [rank, each]));
  const of = () => (ranks.length === 0 ? undefined : loads);
  return new BusyWorkers({ ...off, ...thresholds }, { listen: () => {}, of }).isBusy(id, "m", card(config));
}

describe("a worker is busy", () => {
  it.each([
    ["above its share of blocks, not at it", { decodeBlocks: 0.5 }, [51n, 50n], (each: bigint) => load(each, null)],
    ["above so many prefill tokens, not at them", { prefillTokens: 300 }, [301n, 300n], (each: bigint) => load(null, each)],
    ["above so much of its largest batch, not at it", { prefillTokensFrac: 0.5 }, [501n, 500n], (each: bigint) => load(null, each)],
  ] as const)("%s", (_title, thresholds, [over, at], loaded) => {
    expect([over, at].map((each) => isBusy(thresholds, [loaded(each)]))).toEqual([true, false]);
  });

  it("when all its ranks are, and have said so", () => {
    const two = { data_parallel_size: 2 };
    const [over, under] = [load(90n, null), load(10n, null)];
    expect([[over, over], [over, under], [over]].map((ranks) => isBusy({ decodeBlocks: 0.5 }, ranks, two))).toEqual([true, false, false]);
  });

  it("by the blocks that it says it uses rather than by those of its decodes", () => {
    expect(isBusy({ decodeBlocks: 0.5 }, [{ ...load(10n, null), kv_used_blocks: 90n }])).toBe(true);
  });

  it("never before it has said anything, and never without thresholds", () => {
    expect([isBusy({ decodeBlocks: 0 }, []), isBusy({}, [load(100n, 10_000n)])]).toEqual([false, false]);
  });
});
