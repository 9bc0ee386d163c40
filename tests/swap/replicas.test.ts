// Routers of the same workers tell each other what runs: two of ours, and a real KvRouter with router_replica_sync.
//
//   real KvRouter ◀── active_sequences_events ──▶ our mm-router ×2 ──▶ real workers (2)        over NATS, and over ZMQ
import { decodeExplanation, explainEndpoint } from "@mm-router/mm-router";
import {
  type DynamoWorker,
  type EventPlane,
  metricOf,
  modelDir,
  type OurService,
  patienceMs,
  publicModel,
  type Release,
  type RequestPlane,
  startOurRouter,
  waitFor,
} from "@mm-router/testkit";
import { describeProof } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { withFurther } from "./harness/further-cells.ts";
import { type IndexStack, startIndexStack } from "./harness/index-stack.ts";
import { callInstance } from "./harness/our-client.ts";
import { type RealRouter, startRealRouter } from "./harness/real-router.ts";
import { workersThatSaw } from "./harness/served-by.ts";
import { tokensRequest } from "./harness/tokens-request.ts";

interface Load {
  readonly prefillTokens: number;
  readonly blocks: number;
  readonly requests: number;
}

const idle: Load = { prefillTokens: 0, blocks: 0, requests: 0 };
const tokensFrom = (first: number): number[] => Array.from({ length: 96 }, (_, at) => first + at);

type Cell = readonly [Release, RequestPlane, EventPlane];

const cells = withFurther<Cell>(
  [
    ["1.0.2", "tcp", "nats"],
    ["1.6.1", "tcp", "zmq"],
  ],
  [
    ["1.2.1", "nats", "zmq"],
    ["1.4.2", "tcp", "zmq"],
    ["1.6.1", "nats", "nats"],
  ],
);

for (const [release, requestPlane, eventPlane] of cells) {
  await describeProof(`routers beside a real router of ${release}, events over ${eventPlane}`, release, () => {
    let stack: IndexStack;
    let workers: DynamoWorker[];
    let ours: [OurService, OurService];
    let real: RealRouter;
    const started = new AsyncDisposableStack();

    beforeAll(async () => {
      stack = started.use(await startIndexStack({ release, requestPlane, eventPlane }));
      workers = [await stack.worker(), await stack.worker()];
      const { component } = workers[0]!;
      const options = { model: modelDir({ modelType: "qwen2_vl" }), servedName: publicModel, workers: component };
      const router = (): Promise<OurService> => startOurRouter(stack.place, { ...options, args: ["--router-replica-sync"] });
      ours = [started.use(await router()), started.use(await router())];
      real = started.use(
        await startRealRouter(stack.place, { release, component, workers: workers.length, config: { router_replica_sync: true } }),
      );
      for (const router of ours) await untilHears(router);
      await untilRealHears(ours[0]);
    });
    afterAll(() => started.disposeAsync());

    let said = 0;

    /** Books at the real router until ours hears it: what a publisher says before others have found it is lost. */
    async function untilHears(router: OurService): Promise<void> {
      await waitFor({ what: "our router to hear the real one" }, async () => {
        const id = `found-${said++}`;
        await real.bestWorker(tokensFrom(800_000), id);
        await real.free(id);
        return (await metricOf(router, "mm_router_replica_events_total", { outcome: "applied" })) > 0 || undefined;
      });
    }

    /** The other way round: short requests through ours until the real one counts one. */
    async function untilRealHears({ instanceId }: OurService): Promise<void> {
      await waitFor({ what: "the real router to hear ours" }, async () => {
        const request = tokensRequest(700_000 + 100 * said++, { max_tokens: 100, ignore_eos: true });
        let isOver = false;
        let isHeard = false;
        const running = callInstance(stack.runtime, stack.place, { component: "mm_router", instanceId }, request);
        const over = running.finally(() => (isOver = true));
        while (!isOver && !isHeard) isHeard = [...(await decodeBlocks()).values()].some((blocks) => blocks > 3);
        expect((await over).error).toBeUndefined();
        return isHeard || undefined;
      });
    }

    /** Blocks that the real router believes to run on each worker, with three more. */
    async function decodeBlocks(): Promise<Map<bigint, number>> {
      return new Map((await real.potentialLoads(tokensFrom(900_000))).map(({ workerId, decodeBlocks: blocks }) => [workerId, blocks]));
    }

    /** What one of our routers believes to run on each worker. */
    async function loadsOf({ instanceId }: OurService): Promise<Map<bigint, Load>> {
      const target = { component: "mm_router", endpoint: explainEndpoint, instanceId };
      const { items, error } = await callInstance(stack.runtime, stack.place, target, tokensRequest(900_000));
      if (error !== undefined) throw error;
      const rows = decodeExplanation(items[0]).candidates.map(
        (row) =>
          [
            BigInt(row.worker_id),
            { prefillTokens: row.active_prefill_tokens, blocks: row.active_decode_blocks, requests: row.active_requests },
          ] as const,
      );
      return new Map(rows);
    }

    async function untilLoaded(router: OurService, loaded: { readonly workerId: bigint; readonly load: Load }): Promise<void> {
      const expected = new Map(workers.map(({ instanceId }) => [instanceId, instanceId === loaded.workerId ? loaded.load : idle]));
      await expect.poll(() => loadsOf(router), { timeout: patienceMs, interval: 50 }).toEqual(expected);
    }

    it("both of ours count what the real router books, until it frees it", async () => {
      const applied = (): Promise<number> => metricOf(ours[0], "mm_router_replica_events_total", { outcome: "applied" });
      await untilLoaded(ours[0], { workerId: 0n, load: idle }); // it has heard of all that was before
      const before = await applied();
      const { workerId } = await real.bestWorker(tokensFrom(21_000), "theirs");
      for (const router of ours) await untilLoaded(router, { workerId, load: { prefillTokens: 96, blocks: 3, requests: 1 } });
      await real.prefillDone("theirs");
      for (const router of ours) await untilLoaded(router, { workerId, load: { prefillTokens: 0, blocks: 3, requests: 1 } });
      await real.free("theirs");
      for (const router of ours) await untilLoaded(router, { workerId, load: idle });
      expect((await applied()) - before).toBe(3);
      expect(await metricOf(ours[0], "mm_router_replica_events_total", { outcome: "malformed" })).toBe(0);
    });

    it("the real router and our other one count what ours has running, until its stream ends", async () => {
      const running = await startRunning(ours[0], 97);
      await untilLoaded(ours[1], { workerId: running.workerId, load: { prefillTokens: 0, blocks: 3, requests: 1 } });
      const withRequest = (busy: bigint | undefined): Map<bigint, number> =>
        new Map(workers.map(({ instanceId }) => [instanceId, 3 + (instanceId === busy ? 3 : 0)]));
      await expect.poll(decodeBlocks, { timeout: patienceMs, interval: 50 }).toEqual(withRequest(running.workerId));
      await running.end();
      await expect.poll(decodeBlocks, { timeout: patienceMs, interval: 50 }).toEqual(withRequest(undefined));
      await untilLoaded(ours[1], { workerId: running.workerId, load: idle });
    });

    it("the real router sends its next request past the worker that ours made busy", async () => {
      const running = await startRunning(ours[0], 98);
      await untilLoaded(ours[1], { workerId: running.workerId, load: { prefillTokens: 0, blocks: 3, requests: 1 } });
      for (let n = 0; n < 6; n++) expect((await real.bestWorker(tokensFrom(50_000 + 100 * n))).workerId).not.toBe(running.workerId);
      await running.end();
    });

    it("the load of a killed one goes with its lease", async () => {
      const running = await startRunning(ours[1], 99);
      await untilLoaded(ours[0], { workerId: running.workerId, load: { prefillTokens: 0, blocks: 3, requests: 1 } });
      await ours[1].kill();
      await untilLoaded(ours[0], { workerId: running.workerId, load: idle });
    });

    /** A request of so many tokens, 97 to 127, through one of our routers that has begun; its engine needs 5 s for it, or 20 s and is left. */
    async function startRunning({ instanceId }: OurService, length: number): Promise<{ workerId: bigint; end(): Promise<void> }> {
      const begun = Promise.withResolvers<void>();
      const target = { component: "mm_router", instanceId };
      const token_ids = Array.from({ length }, (_, at) => 1_000 * length + at);
      const isComputedToTheEnd = release === "1.0.2";
      const request = { ...tokensRequest(0, { max_tokens: isComputedToTheEnd ? 2_500 : 10_000, ignore_eos: true }), token_ids };
      const leaving = new AbortController();
      const options = { signal: leaving.signal, onItem: () => begun.resolve() };
      const outcome = callInstance(stack.runtime, stack.place, target, request, options);
      await Promise.race([begun.promise, outcome.then(({ error }) => Promise.reject(error ?? new Error("the request ended at once")))]);
      const workerId = await waitFor({ what: "an engine to have the request" }, async () => {
        const [index] = workersThatSaw(workers, length); // three full blocks, and a length that names it
        return index === undefined ? undefined : workers[index]!.instanceId;
      });
      return {
        workerId,
        end: async () => {
          if (!isComputedToTheEnd) leaving.abort();
          expect((await outcome).error?.code).toBe(isComputedToTheEnd ? undefined : "client_closed");
        },
      };
    }
  });
}
