// Same cluster, same trace, same configuration: every pick of a live KvRouter is one of the ranks that cost least by our reckoning.
//
//   random trace ─┬─▶ KvRouter of the release: best_worker, mark_prefill_complete, free ─▶ pick
//                 └─▶ our indexer's answer, our scheduler ────────────────────────────▶ ties ∋ pick?     then booked on the pick
//
// The same without events, where both believe what they sent. No timing is involved: blocks are stored first, and both indexes are waited
// for; what runs is booked and freed by the trace alone.
import {
  ApproximateIndex,
  type Decision,
  blockHashes,
  type KvRouterConfig,
  LocalScheduler,
  type RouterConfigOverride,
  type ScheduleRequest,
  sequenceHashes,
} from "@mm-router/kv";
import { decodeCardEntry, type InstanceId, type WorkerKey } from "@mm-router/protocol";
import { type DynamoMocker, etcdEntries, patienceMs, type Release } from "@mm-router/testkit";
import { describeProof } from "@mm-router/testkit/requires";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { withFurther } from "./harness/further-cells.ts";
import { queryIndex } from "./harness/index-query.ts";
import { type IndexStack, type StackIndexer, startIndexStack } from "./harness/index-stack.ts";
import { blocksIn, untilIndexed } from "./harness/index-view.ts";
import { callInstance } from "./harness/our-client.ts";
import { type RealRouter, startRealRouter } from "./harness/real-router.ts";

const blockSize = 32;
const mockers = 3;
/** `MMR_TEST_DECISIONS`: decisions per configuration. */
const decisions = Number(process.env.MMR_TEST_DECISIONS ?? 60);

/** Of both, by the names of `KvRouterConfig`. */
type Config = Readonly<Record<string, number | boolean>> & KvRouterConfig;

interface Situation {
  /** Absent: all. */
  readonly releases?: readonly Release[];
  readonly config: Config;
  /** Goes with every request. */
  readonly override?: RouterConfigOverride;
}

const credited: readonly Release[] = ["1.4.2", "1.6.1"];

const situations: Readonly<Record<string, Situation>> = {
  default: { config: {} },
  "weight 0.5": { config: { overlap_score_weight: 0.5 } },
  "weight 0": { config: { overlap_score_weight: 0 } },
  "weight 3, blocks not tracked": { config: { overlap_score_weight: 3, router_track_active_blocks: false } },
  "credit 0.7 with decay": {
    releases: credited,
    config: { overlap_score_credit: 0.7, overlap_score_credit_decay: 0.5, decode_active_request_weight: 2 },
  },
  "scale 0.3": { releases: credited, config: { prefill_load_scale: 0.3, overlap_score_credit: 0.4 } },
  "prefill tokens not tracked": { releases: credited, config: { router_track_prefill_tokens: false, decode_active_request_weight: 1 } },
  "reuse of running blocks not assumed": { config: { router_assume_kv_reuse: false } },
  // 1.6.1 ignores weights of an override (kv.md §8.5), 0.9.1 and 1.0.2 know the first alone
  "weight 2 by override": { releases: ["1.0.2", "1.4.2"], config: {}, override: { overlap_score_weight: 2 } },
  "credit 0.2, scale 0.5 by override": {
    releases: ["1.4.2"],
    config: { decode_active_request_weight: 2 },
    override: { overlap_score_credit: 0.2, prefill_load_scale: 0.5 },
  },
  "prefill tokens not tracked by override": { releases: credited, config: {}, override: { track_prefill_tokens: false } },
};

/** A prompt: so many leading tokens of one of four stored families, then tokens of its own. */
interface Prompt {
  readonly family: number;
  readonly shared: number;
  readonly own: number;
}

const prompt = fc.record({ family: fc.nat(3), shared: fc.integer({ min: 0, max: 400 }), own: fc.integer({ min: 1, max: 120 }) });
/** What ends of earlier requests, by age; then the next one comes. */
const step = fc.record({ prompt, prefilled: fc.option(fc.nat(5)), freed: fc.option(fc.nat(9)) });

const family = (n: number, length = 400): number[] => Array.from({ length }, (_, at) => 10_000 * (n + 1) + at);
let own = 100_000;
const tokensOf = (each: Prompt): number[] => [...family(each.family, each.shared), ...Array.from({ length: each.own }, () => own++)];

for (const release of withFurther<Release>(["1.0.2", "1.6.1"], ["1.4.2"])) {
  await describeProof(`choices of a live KvRouter of ${release}`, release, () => {
    let stack: IndexStack;
    let workers: DynamoMocker[];
    let indexer: StackIndexer;
    let modelName: string;

    beforeAll(async () => {
      stack = await startIndexStack({ release, requestPlane: "tcp", eventPlane: "nats" });
      workers = [];
      for (let n = 0; n < mockers; n++) workers.push(await stack.mocker());
      indexer = await stack.indexer("mocker");
      modelName = await servedName(stack);
      await fill();
    });
    afterAll(() => stack?.[Symbol.asyncDispose]());

    /** Each family on one worker in full, and in part on the next. */
    async function fill(): Promise<void> {
      for (const n of [0, 1, 2, 3]) {
        await run(workers[n % mockers]!, family(n));
        await run(workers[(n + 1) % mockers]!, family(n, 100 + 60 * n));
      }
      const full = Math.floor(400 / blockSize);
      const parts = [0, 1, 2, 3].map((n) => Math.floor((100 + 60 * n) / blockSize));
      await untilIndexed(indexer.url, 4 * full + parts.reduce((sum, blocks) => sum + blocks));
    }

    async function run(worker: DynamoMocker, token_ids: number[]): Promise<void> {
      const request = {
        token_ids,
        model: "m",
        stop_conditions: { max_tokens: 1 },
        sampling_options: {},
        output_options: {},
        eos_token_ids: [],
        annotations: [],
      };
      expect((await callInstance(stack.runtime, stack.place, worker, request)).error).toBeUndefined();
    }

    const applicable = Object.entries(situations).filter(([, { releases: all }]) => all?.includes(release) ?? true);
    it.each(applicable)("lie in our set of minima: %s", async (_name, { config, override }) => {
      await using real = await startRealRouter(stack.place, { release, component: "mocker", workers: mockers, blockSize, config });
      const hasIndex = config.overlap_score_weight !== 0; // else a real router keeps none, and its overlaps are 0
      if (hasIndex) await untilBothKnowAll(real);
      const ours = new LocalScheduler({ blockSize, config, now: () => 0, random: Math.random });
      const running: { readonly id: string; readonly booking: ReturnType<LocalScheduler["select"]> }[] = [];
      const wrong: object[] = [];
      let tied = 0;
      for (const [n, { prompt: next, prefilled, freed }] of fc.sample(step, { numRuns: decisions, seed: 5 }).entries()) {
        const begun = running.at(-1 - (prefilled ?? running.length));
        if (begun !== undefined) {
          await real.prefillDone(begun.id);
          begun.booking.prefillDone();
        }
        const [ended] = freed === null ? [] : running.splice(freed, 1);
        if (ended !== undefined) {
          await real.free(ended.id);
          ended.booking.free();
        }
        const tokens = tokensOf(next);
        const request = { ...(await asked(tokens)), override };
        const decision = ours.explain(request);
        const pick = await real.bestWorker(tokens, `r${n}`, override && { router_config_override: override });
        const chosen = decision.ties.find(({ worker }) => worker.workerId === pick.workerId);
        if (chosen === undefined || pick.overlap !== (hasIndex ? chosen.overlapBlocks : 0))
          wrong.push({ n, next, pick, ...seen(decision) });
        if (decision.ties.length > 1) tied++;
        const rank = { workerId: pick.workerId as InstanceId, dpRank: pick.dpRank };
        running.push({ id: `r${n}`, booking: ours.select({ ...request, candidates: [rank] }) });
      }
      expect(wrong).toEqual([]);
      expect(tied).toBeLessThan(decisions); // or any pick would do
    });

    if (release === "1.6.1")
      it("lie in our set of minima where both believe what they sent, without events", async () => {
        await using real = await startRealRouter(stack.place, {
          release,
          component: "mocker",
          workers: mockers,
          blockSize,
          config: { use_kv_events: false },
        });
        const ours = new LocalScheduler({ blockSize, config: {}, now: () => 0, random: () => 0.5 });
        const believed = new ApproximateIndex({ ttlMs: 120_000, now: () => 0 });
        const wrong: object[] = [];
        let overlaps = 0;
        for (const [n, { prompt: next }] of fc.sample(step, { numRuns: decisions, seed: 6 }).entries()) {
          const tokens = tokensOf(next);
          const hashes = blockHashes({ tokens: Uint32Array.from(tokens), blockSize });
          const request = {
            islTokens: tokens.length,
            blockHashes: hashes,
            overlap: believed.findMatches(sequenceHashes(hashes)),
            candidates: ranks(),
          };
          const decision = ours.explain(request);
          const pick = await real.bestWorker(tokens, `p${n}`, { update_indexer: true });
          const chosen = decision.ties.find(({ worker }) => worker.workerId === pick.workerId);
          if (chosen === undefined || chosen.overlapBlocks !== pick.overlap) wrong.push({ n, next, pick, ...seen(decision) });
          overlaps += pick.overlap;
          const rank = { workerId: pick.workerId as InstanceId, dpRank: pick.dpRank };
          ours.select({ ...request, candidates: [rank] });
          believed.routed(rank, sequenceHashes(hashes));
        }
        expect(wrong).toEqual([]);
        expect(overlaps).toBeGreaterThan(decisions);
      });

    const ranks = (): WorkerKey[] => workers.map(({ instanceId }) => ({ workerId: instanceId as InstanceId, dpRank: 0 }));

    /** The question that our mm-router would put to its scheduler. */
    async function asked(tokens: readonly number[]): Promise<ScheduleRequest> {
      const hashes = blockHashes({ tokens: Uint32Array.from(tokens), blockSize });
      const index = { ...stack, component: "mocker", instanceId: indexer.instanceId };
      const scores = await queryIndex(index, hashes, modelName);
      return {
        islTokens: tokens.length,
        blockHashes: hashes,
        overlap: Array.from(scores, ([workerId, blocks]) => ({ worker: { workerId: workerId as InstanceId, dpRank: 0 }, blocks })),
        candidates: ranks(),
      };
    }

    async function untilBothKnowAll(real: RealRouter): Promise<void> {
      await expect.poll(() => real.blocks(), { timeout: patienceMs, interval: 100 }).toBe(await blocksIn(indexer.url));
    }
  });
}

async function servedName({ place }: IndexStack): Promise<string> {
  const [card] = await etcdEntries(place.etcdUrl, `v1/mdc/${place.namespace}/mocker/`);
  return decodeCardEntry(card!.key, card!.value).card.display_name;
}

const seen = ({ ranks }: Decision): object => ({
  costs: ranks.map(({ worker, cost, overlapBlocks }) => [worker.workerId, cost, overlapBlocks]),
});
