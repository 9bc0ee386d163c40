import type { InstanceId, WorkerKey } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { stored } from "./kv-events.suite.ts";
import { type Decision, LocalScheduler, type ScheduleRequest } from "./local-scheduler.ts";
import { NaiveIndex } from "./naive-index.ts";
import type { KvRouterConfig, RouterConfigOverride } from "./router-config.ts";

type RankRow = readonly [worker: number, rank: number, value: number, decodeBlocks?: number];

interface SelectorCase {
  readonly name: string;
  readonly block_size: number;
  /** Ranks of each worker. */
  readonly workers: readonly number[];
  readonly isl: number;
  readonly stored: readonly RankRow[];
  readonly active: readonly { worker: number; rank: number; isl: number; shared_blocks: number; prefill_done: boolean }[];
  readonly config: KvRouterConfig;
  readonly override: RouterConfigOverride | null;
  readonly results: readonly { logits: readonly RankRow[]; by_release: readonly ReleaseResult[] }[];
}

interface ReleaseResult {
  readonly release: string;
  readonly loads: readonly RankRow[];
  readonly picks: readonly RankRow[];
}

const { cases } = golden<{ cases: SelectorCase[] }>("kv/selector.json");
const rankOf = (worker: number, dpRank: number): WorkerKey => ({ workerId: BigInt(worker) as InstanceId, dpRank });
const keyOf = ({ workerId, dpRank }: WorkerKey) => `${workerId}:${dpRank}`;

let nextHash = 1n << 40n;
const hashesOf = (count: number, shared: BigUint64Array = new BigUint64Array()) =>
  BigUint64Array.from({ length: count }, (_, i) => shared[i] ?? nextHash++);

function scheduler(blockSize: number, config: KvRouterConfig = {}, random: () => number = () => 0.5): LocalScheduler {
  return new LocalScheduler({ blockSize, config, now: () => 0, random });
}

/** A case of the real router, played on our index and scheduler; returns the decision about its query. */
function play(each: SelectorCase): { decision: Decision; local: LocalScheduler } {
  const query = hashesOf(Math.floor(each.isl / each.block_size));
  const index = new NaiveIndex();
  for (const [worker, rank, blocks] of each.stored) {
    index.apply(
      stored(
        { worker: BigInt(worker), rank },
        null,
        [...query.slice(0, blocks)].map((hash) => [hash, hash] as const),
      ),
    );
  }
  const request = (islTokens: number, blockHashes: BigUint64Array): ScheduleRequest => ({
    islTokens,
    blockHashes,
    overlap: index.findMatches(blockHashes),
    candidates: each.workers.flatMap((ranks, worker) => Array.from({ length: ranks }, (_, rank) => rankOf(worker, rank))),
  });
  let state = 1;
  const random = () => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff;
  const local = scheduler(each.block_size, each.config, random);
  for (const { worker, rank, isl, shared_blocks, prefill_done } of each.active) {
    const hashes = hashesOf(Math.floor(isl / each.block_size), query.slice(0, shared_blocks));
    const booking = local.select({ ...request(isl, hashes), candidates: [rankOf(worker, rank)] });
    if (prefill_done) booking.prefillDone();
  }
  return { decision: local.explain({ ...request(each.isl, query), override: each.override ?? undefined }), local };
}

/** The releases that ignore this case's override (kv.md §8.5). */
function ignores(release: string, override: RouterConfigOverride | null): boolean {
  if (override === null) return false;
  if (release === "0.9.1") return override.assume_kv_reuse !== undefined;
  return release === "1.6.1" && override.track_prefill_tokens === undefined && override.assume_kv_reuse === undefined;
}

describe("against the real routers", () => {
  it("computes every logit to 1e-3 and counts their picks among the cheapest", () => {
    const wrong: string[] = [];
    let logits = 0;
    for (const each of cases) {
      const { decision } = play(each);
      const costs = new Map(decision.ranks.map(({ worker, cost }) => [keyOf(worker), cost]));
      const ties = new Set(decision.ties.map(({ worker }) => keyOf(worker)));
      for (const result of each.results) {
        const releases = result.by_release.filter(({ release }) => !ignores(release, each.override));
        if (releases.length === 0) continue;
        for (const [worker, rank, logit] of result.logits) {
          logits++;
          if (Math.abs(costs.get(`${worker}:${rank}`)! - logit) > 1e-3) wrong.push(`${each.name}: rank ${worker}:${rank}`);
        }
        const drawn = (each.override?.router_temperature ?? each.config.router_temperature ?? 0) > 0;
        for (const { release, picks } of releases) {
          if (!drawn && picks.some(([worker, rank]) => !ties.has(`${worker}:${rank}`))) wrong.push(`${each.name}: pick of ${release}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(logits).toBe(159);
  });

  it("tracks the same load: potential prefill tokens and decode blocks of every rank", () => {
    const wrong: string[] = [];
    for (const each of cases.filter(({ override, config }) => override === null && config.router_track_prefill_tokens !== false)) {
      const { decision } = play(each);
      for (const { release, loads } of each.results.flatMap(({ by_release }) => by_release)) {
        for (const [worker, rank, prefillTokens, decodeBlocks] of loads) {
          const row = decision.ranks.find(({ worker: key }) => keyOf(key) === `${worker}:${rank}`)!;
          const tracked = each.config.router_track_active_blocks !== false;
          const prefill = row.activePrefillTokens + Math.max(0, each.isl - row.overlapBlocks * each.block_size);
          const decode = tracked ? row.activeDecodeBlocks + row.newDecodeBlocks : 0;
          if (prefill !== prefillTokens || decode !== decodeBlocks) wrong.push(`${each.name}, ${release}, ${worker}:${rank}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("LocalScheduler", () => {
  const candidates = [1, 2, 3].map((id) => rankOf(id, 0));
  const request = (over: Partial<ScheduleRequest> = {}): ScheduleRequest => ({
    islTokens: 64,
    blockHashes: BigUint64Array.of(1n, 2n, 3n, 4n),
    overlap: [],
    candidates,
    ...over,
  });

  it("sends a request where its blocks are", () => {
    const overlap = [{ worker: candidates[1]!, blocks: 3 }];
    const booking = scheduler(16).select(request({ overlap }));
    expect([booking.worker, booking.overlapBlocks]).toEqual([candidates[1], 3]);
  });

  it("books at selection, so that requests of one moment spread over idle ranks", () => {
    const local = scheduler(16);
    const taken = [0, 1, 2].map((n) => local.select(request({ blockHashes: hashesOf(4, BigUint64Array.of(BigInt(n))) })).worker.workerId);
    expect(new Set(taken).size).toBe(3);
  });

  it("chooses the same idle rank for the same first block, in every replica", () => {
    for (const first of [5n, 6n, 7n, 8n, 2n ** 63n]) {
      const blockHashes = BigUint64Array.of(first, 9n);
      const again = scheduler(16).select(request({ blockHashes, candidates: [...candidates].reverse() }));
      expect(again.worker).toEqual(scheduler(16).select(request({ blockHashes })).worker);
    }
  });

  it("spreads different first blocks over idle ranks", () => {
    const chosen = Array.from(
      { length: 300 },
      (_, i) => scheduler(16).select(request({ blockHashes: BigUint64Array.of(BigInt(i)) })).worker.workerId,
    );
    for (const { workerId } of candidates) expect(chosen.filter((id) => id === workerId).length).toBeGreaterThan(60);
  });

  it("gives the load back once: prefill tokens when tokens come, the rest when the stream ends", () => {
    const local = scheduler(16);
    const { worker, prefillDone, free } = local.select(request());
    expect(local.load(worker)).toEqual({ activePrefillTokens: 64, activeDecodeBlocks: 4, activeRequests: 1 });
    prefillDone();
    prefillDone();
    expect(local.load(worker)).toEqual({ activePrefillTokens: 0, activeDecodeBlocks: 4, activeRequests: 1 });
    free();
    free();
    prefillDone();
    expect(local.load(worker)).toEqual({ activePrefillTokens: 0, activeDecodeBlocks: 0, activeRequests: 0 });
  });

  it("forgets requests that nobody freed", () => {
    let now = 0;
    const local = new LocalScheduler({ blockSize: 16, config: {}, now: () => now, random: () => 0, expiryMs: 1000 });
    local.select(request());
    now = 1000;
    local.select(request());
    expect(local.activeRequests).toBe(1);
  });

  it("refuses a request without candidates and an override that makes no sense", () => {
    expect(() => scheduler(16).select(request({ candidates: [] }))).toThrow(expect.objectContaining({ code: "no_instances" }));
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => scheduler(16).select(request({ override: { router_temperature: value } }))).toThrow(
        expect.objectContaining({ code: "invalid_request" }),
      );
    }
  });

  it("counts the blocks that answers fill, where they are tracked", () => {
    const worker = rankOf(1, 0);
    const request = { islTokens: 10, blockHashes: BigUint64Array.of(1n, 2n), overlap: [], candidates: [worker] };
    const tracking = scheduler(4, { router_track_output_blocks: true });
    const booking = tracking.select(request);
    const counts = [1, 1, 1, 4].map((tokens) => {
      booking.generated?.(tokens);
      return tracking.load(worker).activeDecodeBlocks;
    });
    expect(counts).toEqual([2, 2, 3, 4]); // 10 tokens are 3 blocks, 13 are 4, 17 are 5
    booking.free();
    expect(tracking.load(worker).activeDecodeBlocks).toBe(0);
    expect(scheduler(4).select(request).generated).toBeUndefined();
  });

  it("fades a request's own blocks towards the expected end of its answer", () => {
    const worker = rankOf(1, 0);
    const tracking = scheduler(4, { router_track_output_blocks: true });
    const request = { islTokens: 16, blockHashes: BigUint64Array.of(1n, 2n, 3n, 4n), overlap: [], candidates: [worker] };
    const booking = tracking.select({ ...request, expectedOutputTokens: 8 });
    booking.generated?.(4);
    booking.generated?.(4);
    booking.generated?.(1);
    expect(tracking.load(worker).activeDecodeBlocks).toBe(1); // all but the newest count nothing at the expected end
  });
});
