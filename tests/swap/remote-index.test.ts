// Our index under real routers, and a real served index under our router: whose answers they are is shown by what is picked.
//
//   real KvRouter, use_remote_indexer ──────────────────────▶ our indexer ◀── KV events ── real workers (2)
//   real frontend, --router-mode kv --use-remote-indexer ───▶
//
//   our mm-router ──▶ index of a real frontend, --router-mode kv --serve-indexer ◀── KV events ── the same workers
import {
  type DynamoWorker,
  etcdEntries,
  type HttpFrontend,
  internalModel,
  metricOf,
  modelDir,
  publicModel,
  type Release,
  startDynamoFrontend,
  startOurFrontend,
  startOurRouter,
  untilListed,
  untilServed,
  waitFor,
} from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ChatAnswer, chat } from "./harness/chat.ts";
import { untilHeld } from "./harness/index-query.ts";
import { type IndexStack, type StackIndexer, startIndexStack } from "./harness/index-stack.ts";
import { dumpOfWorker } from "./harness/index-view.ts";
import { callInstance } from "./harness/our-client.ts";
import { uniquePrompt } from "./harness/prompts.ts";
import { startRealRouter } from "./harness/real-router.ts";
import { workersThatSaw } from "./harness/served-by.ts";
import { tokensRequest } from "./harness/tokens-request.ts";

const tokensFrom = (first: number): number[] => Array.from({ length: 96 }, (_, at) => first + at);

/** Each prompt on one worker, chosen by the test; blocks of 32 tokens. */
const prompts = [11_000, 12_000, 13_000, 14_000, 15_000, 16_000];

for (const [release, requestPlane] of [
  ["1.2.1", "nats"],
  ["1.4.2", "nats"],
  ["1.6.1", "tcp"],
] as const satisfies readonly (readonly [Release, string])[]) {
  await describeRelease(`served indexes and routers of ${release} over ${requestPlane}`, release, () => {
    let stack: IndexStack;
    let workers: DynamoWorker[];
    let indexer: StackIndexer;
    const queriesAnswered = (): Promise<number> => metricOf(indexer, "mm_router_indexer_queries_total", { outcome: "scores" });

    beforeAll(async () => {
      stack = await startIndexStack({ release, requestPlane, eventPlane: "nats" });
      workers = [await stack.worker(), await stack.worker()];
      indexer = await stack.indexer(workers[0]!.component);
    });
    afterAll(() => stack?.[Symbol.asyncDispose]());

    /** The worker that holds the n-th prompt. */
    const holderOf = (n: number): DynamoWorker => workers[n % workers.length]!;

    async function fill(): Promise<void> {
      for (const [n, first] of prompts.entries()) {
        const { error } = await callInstance(stack.runtime, stack.place, holderOf(n), tokensRequest(first));
        expect(error).toBeUndefined();
      }
      await untilIndexed(indexer.instanceId);
    }

    /** Waits until an index knows every block that the workers say they hold. */
    async function untilIndexed(instanceId: bigint): Promise<void> {
      const { runtime, place } = stack;
      for (const worker of workers) {
        const { component } = worker;
        const paths = [...(await dumpOfWorker(runtime, place, component, worker.instanceId))!];
        const leaves = paths.filter((path) => !paths.some((other) => other.startsWith(`${path}/`)));
        const index = { runtime, place, component, instanceId };
        for (const leaf of leaves) {
          const hashes = BigUint64Array.from(leaf.slice(1).split("/"), BigInt);
          await untilHeld(index, hashes, worker.instanceId, hashes.length);
        }
      }
    }

    it("a real KvRouter without an index of its own picks the holder that ours names, one question a decision", async () => {
      await fill();
      const config = { use_remote_indexer: true };
      await using router = await startRealRouter(stack.place, {
        release,
        component: workers[0]!.component,
        workers: workers.length,
        config,
      });
      const before = await queriesAnswered();
      for (const [n, first] of prompts.entries()) {
        expect(await router.bestWorker(tokensFrom(first))).toEqual({ workerId: holderOf(n).instanceId, dpRank: 0, overlap: 3 });
      }
      expect((await router.bestWorker(tokensFrom(90_000))).overlap).toBe(0);
      expect((await queriesAnswered()) - before).toBe(prompts.length + 1);
    });

    it("a real frontend in kv mode sends a prompt again to the worker that our index names", async () => {
      const args = ["--use-remote-indexer"];
      await using frontend = await startDynamoFrontend(stack.place, { release, routerMode: "kv", args });
      await untilServed(frontend, internalModel);
      const before = await queriesAnswered();
      await expectPrefixesAreMetAgain(frontend, internalModel, indexer.instanceId);
      expect((await queriesAnswered()) - before).toBeGreaterThanOrEqual(8);
    });

    it("our mm-router sends a prompt again to the worker that a real served index names", async () => {
      const component = workers[0]!.component;
      expect((await indexer.child.terminate(30_000)).code).toBe(0);
      await using serving = await startDynamoFrontend(stack.place, { release, routerMode: "kv", serveIndexer: true });
      const served = `v1/instances/${stack.place.namespace}/${component}/`;
      const realIndex = await waitFor({ what: "the real index to register", child: serving.child }, async () => {
        const endpoints = (await etcdEntries(stack.place.etcdUrl, served)).map(({ key }) => key.slice(served.length).split("/"));
        expect(endpoints.map(([name]) => name)).not.toContain("kv_indexer_lookup"); // nobody of ours answers
        const id = endpoints.find(([name]) => name === "kv_indexer_query")?.[1];
        return id === undefined ? undefined : BigInt(`0x${id}`);
      });
      const model = modelDir({ modelType: "qwen2_vl" });
      const environment = { MMR_INDEX_DEADLINE_MS: "10000" }; // on a busy machine the real index may take its time
      await using router = await startOurRouter(stack.place, { model, servedName: publicModel, workers: component, environment });
      await using frontend = await startOurFrontend(stack.place);
      await untilListed(frontend, publicModel);
      await expectPrefixesAreMetAgain(frontend, publicModel, realIndex);
      expect(await metricOf(router, "mm_router_degraded_total")).toBe(0);
      const held = await metricOf(router, "mm_router_overlap_blocks_total");
      expect(held).toBeGreaterThanOrEqual(4 * 3);
      expect(await metricOf(router, "mm_router_available_blocks_total")).toBeGreaterThanOrEqual(held);
      expect(await metricOf(router, "mm_router_delivered_tokens_total")).toBeGreaterThanOrEqual(4 * 96); // as the workers say
    });

    /** Four prompts, two at a time so that load puts them on both workers; each again, one after the other. */
    async function expectPrefixesAreMetAgain(frontend: HttpFrontend, model: string, index: bigint): Promise<void> {
      const ask = (prompt: string, maxTokens: number): Promise<ChatAnswer> => chat(frontend.url, model, prompt, { maxTokens });
      const asked = Array.from({ length: 4 }, () => uniquePrompt());
      const first = await Promise.all(asked.map((prompt) => ask(prompt, 40)));
      const servers = first.map(({ usage }) => workersThatSaw(workers, usage.prompt_tokens));
      expect(servers.map((seen) => seen.length)).toEqual([1, 1, 1, 1]);
      expect(new Set(servers.flat()).size).toBe(2);
      await untilIndexed(index);
      for (const [n, prompt] of asked.entries()) {
        const again = await ask(prompt, 2);
        expect(workersThatSaw(workers, again.usage.prompt_tokens)).toEqual([servers[n]![0], servers[n]![0]]);
        expect(again.usage.prompt_tokens_details?.cached_tokens).toBeGreaterThanOrEqual(96);
      }
    }
  });
}
