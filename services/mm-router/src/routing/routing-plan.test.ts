import { LocalScheduler, type RouterConfigOverride } from "@mm-router/kv";
import { AppError, type RoutingHints } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { idOf, workerOfRelease } from "../testing.ts";
import type { Worker } from "../workers/worker.ts";
import type { RoutedPrompt } from "./routed-prompt.ts";
import { type PlanGroup, RoutingPlan } from "./routing-plan.ts";

const prompt: RoutedPrompt = { islTokens: 8, blockHashes: new BigUint64Array([1n, 2n]), quality: { kind: "exact" } };
const refusal = new AppError("image_forbidden", "no", { status: 400 });

function planOf(groups: PlanGroup[], routing: RoutingHints = {}, gone: Worker[] = [], override?: RouterConfigOverride) {
  const scheduler = new LocalScheduler({ blockSize: 4, config: {}, now: () => 0, random: () => 0 });
  const available = groups.flatMap(({ workers }) => workers).filter((worker) => !gone.includes(worker));
  return { scheduler, plan: new RoutingPlan(groups, { routing, override }, { scheduler, available: () => available }) };
}

const workers = [1, 2, 3].map((n) => workerOfRelease("1.4.2", n));
const idsOf = (plan: RoutingPlan, refused: Iterable<number> = []) => plan.choose(new Set([...refused].map(idOf)))?.worker.instanceId;

describe("RoutingPlan", () => {
  it("chooses the worker that holds most and books the request on it", () => {
    const { plan, scheduler } = planOf([{ workers, prompt, overlap: [{ worker: workers[1]!.ranks[0]!, blocks: 2 }] }]);
    const choice = plan.choose(new Set())!;
    expect(choice).toMatchObject({ dpRank: 0, booking: { overlapBlocks: 2 } });
    expect(choice.worker).toBe(workers[1]);
    expect(scheduler.activeRequests).toBe(1);
  });

  it("is as sure as the prompt's blocks, and not at all where the index gave nothing to compare them with", () => {
    const degraded = { kind: "degraded", reason: "timeout" } as const;
    const load = { kind: "fallback", reason: "unknown-family" } as const;
    const answered = { degraded: [], tookMs: 1 };
    const late = { degraded: ["index-late" as const], tookMs: 100 };
    const mixed = { degraded: ["block-size" as const], tookMs: 1 };
    const cases: [RoutedPrompt["quality"], PlanGroup["index"], object][] = [
      [{ kind: "exact" }, answered, { kind: "exact" }],
      [degraded, answered, degraded],
      [degraded, late, { kind: "fallback", reason: "index-late" }],
      [load, late, load],
      [{ kind: "exact" }, mixed, { kind: "exact" }],
      [{ kind: "exact" }, { degraded: ["block-size"] }, { kind: "fallback", reason: "block-size" }],
    ];
    for (const [quality, index, expected] of cases) {
      const { plan } = planOf([{ workers, prompt: { ...prompt, quality }, overlap: [], ...(index && { index }) }]);
      expect(plan.choose(new Set())?.quality).toEqual(expected);
    }
  });

  it("chooses another one after a refusal, and nobody when all refused or left", () => {
    const { plan } = planOf([{ workers, prompt, overlap: [{ worker: workers[1]!.ranks[0]!, blocks: 2 }] }], {}, [workers[2]!]);
    expect(idsOf(plan)).toBe(idOf(2));
    expect(idsOf(plan, [2])).toBe(idOf(1));
    expect(idsOf(plan, [1, 2])).toBeUndefined();
  });

  it("chooses among the ranks of a worker", () => {
    const ranks = [0, 1].map((dpRank) => ({ workerId: idOf(1), dpRank }));
    const { plan } = planOf([{ workers: [workerOfRelease("1.4.2", 1, { ranks })], prompt, overlap: [{ worker: ranks[1]!, blocks: 1 }] }]);
    expect(plan.choose(new Set())?.dpRank).toBe(1);
  });

  it("follows a pin to one of our workers and ignores ids that are not ours", () => {
    const groups = [{ workers, prompt, overlap: [{ worker: workers[0]!.ranks[0]!, blocks: 2 }] }];
    expect(idsOf(planOf(groups, { backend_instance_id: idOf(3) }).plan)).toBe(idOf(3));
    expect(idsOf(planOf(groups, { backend_instance_id: idOf(99) }).plan)).toBe(idOf(1));
    expect(idsOf(planOf(groups, { allowed_worker_ids: [idOf(2), idOf(99)] }).plan)).toBe(idOf(2));
    expect(idsOf(planOf(groups, { backend_instance_id: idOf(3) }).plan, [3])).toBeUndefined();
  });

  it("follows a pin to a rank of one of our workers, where the worker has it", () => {
    const ranks = [0, 1].map((dpRank) => ({ workerId: idOf(1), dpRank }));
    const groups = [
      { workers: [workerOfRelease("1.4.2", 1, { ranks }), ...workers.slice(1)], prompt, overlap: [{ worker: ranks[0]!, blocks: 2 }] },
    ];
    const rankFor = (routing: RoutingHints) => planOf(groups, routing).plan.choose(new Set())?.dpRank;
    expect(rankFor({ backend_instance_id: idOf(1), dp_rank: 1 })).toBe(1);
    expect(rankFor({ backend_instance_id: idOf(1), dp_rank: 7 })).toBe(0);
    expect(rankFor({ dp_rank: 1 })).toBe(0); // of a router, or of nobody that we know
  });

  it("weighs as the request's override says", () => {
    const groups = [{ workers, prompt, overlap: [{ worker: workers[1]!.ranks[0]!, blocks: 2 }] }];
    const chosen = (override?: RouterConfigOverride) =>
      planOf(groups, {}, [], override)
        .plan.explain()!
        .ranks.map(({ cost }) => cost);
    expect(chosen()).toEqual([4, 2, 4]);
    expect(chosen({ overlap_score_weight: 0 })).toEqual([2, 2, 2]);
  });

  it("keeps requests from kinds of workers that must not get them, and refuses when no other kind is there", () => {
    const old = [workerOfRelease("1.0.2", 9)];
    const refused = { workers: old, prompt: { ...prompt, refusal }, overlap: [] };
    expect(idsOf(planOf([refused, { workers, prompt, overlap: [] }]).plan, [1, 2])).toBe(idOf(3));
    expect(() => planOf([refused]).plan.choose(new Set())).toThrow(refusal);
  });

  it("has an image looked at when the index answered, or when a worker that is not believed left nothing to ask it", () => {
    const predicted = new BigUint64Array([1n, 2n]);
    const nothing = { ...prompt, blockHashes: new BigUint64Array(), predicted };
    const looks = (group: Pick<PlanGroup, "prompt" | "index">) => {
      let count = 0;
      const scheduler = new LocalScheduler({ blockSize: 4, config: {}, now: () => 0, random: () => 0 });
      const sentinel = { sent: () => {}, watch: () => void count++ };
      const deps = { scheduler, sentinel, available: () => workers };
      new RoutingPlan([{ workers, overlap: [], ...group }], { routing: {}, override: undefined }, deps).choose(new Set());
      return count;
    };
    const index = { degraded: [] };
    expect(looks({ prompt: { ...prompt, predicted }, index: { degraded: [], tookMs: 1 } })).toBe(1);
    expect(looks({ prompt: { ...prompt, predicted }, index: { degraded: ["index-late"], tookMs: 100 } })).toBe(0);
    expect(looks({ prompt: { ...prompt, predicted }, index })).toBe(0);
    expect(looks({ prompt: nothing, index })).toBe(1);
    expect(looks({ prompt: nothing })).toBe(0);
    expect(looks({ prompt, index })).toBe(0);
  });

  it("passes busy workers over, and refuses when all are", () => {
    const groups = [{ workers, prompt, overlap: [{ worker: workers[1]!.ranks[0]!, blocks: 2 }] }];
    const scheduler = new LocalScheduler({ blockSize: 4, config: {}, now: () => 0, random: () => 0 });
    const chosen = (busy: readonly Worker[]) =>
      new RoutingPlan(
        groups,
        { routing: {}, override: undefined },
        { scheduler, available: () => workers, isBusy: (worker) => busy.includes(worker) },
      ).choose(new Set());
    expect(chosen([])?.worker).toBe(workers[1]);
    expect(chosen([workers[1]!])?.worker).not.toBe(workers[1]);
    expect(() => chosen(workers)).toThrow(expect.objectContaining({ code: "overloaded" }));
  });

  it("has nobody without workers", () => {
    expect(idsOf(planOf([]).plan)).toBeUndefined();
  });
});
