// Routers without an indexer, as upstream's image router runs: each keeps an index of its own from the workers' events.
//
//   first request ─► router A ─► real worker ─ events ─► index in A, index in B
//   second one ────► router B ─► the worker that holds it, which says so
import { type Cluster, cluster, publicModel, type Release, startOurRouter, waitFor } from "@mm-router/testkit";
import { describeProof } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Conversation, conversations } from "./harness/conversations.ts";
import { runDoctor } from "./harness/doctor.ts";
import { explain, generate, type ProofStack, requestOf, textModelOf, usageOf } from "./harness/image-proof.ts";
import { connectTo } from "./harness/our-client.ts";

const blockSize = 32;

for (const [release, requestPlane, eventPlane] of [
  ["1.0.2", "nats", "nats"],
  ["1.6.1", "tcp", "unset"],
] as const satisfies readonly (readonly [Release, string, string])[]) {
  await describeProof(`routers without an indexer before workers of ${release}`, release, () => {
    const started = new AsyncDisposableStack();
    let stack: ProofStack & { readonly system: Cluster };
    const asked = [...conversations({ count: 9 })];

    beforeAll(async () => {
      const workers = { release, count: 2, engine: { SIM_BLOCKS: "65536" } };
      const system = started.use(await cluster({ requestPlane, eventPlane, modelType: "qwen2_5_vl", workers, routers: 2 }));
      const runtime = await connectTo(system.place);
      started.defer(() => runtime.close());
      stack = { system, runtime, text: await textModelOf(system) };
    });
    afterAll(() => started.disposeAsync());

    const routerOf = (n: number) => stack.system.routers[n % 2]!;

    /** Blocks of a prompt that a router knows to be held where it would send it. */
    async function known(messages: Conversation["first"], router: Pick<Cluster["routers"][number], "instanceId">) {
      const { kinds, candidates, choice } = await explain(stack, await requestOf(messages, stack.text), router);
      const chosen = candidates.find(({ worker_id }) => worker_id === choice?.worker_id);
      return { blocks: kinds[0]!.blocks, quality: kinds[0]!.quality, held: chosen?.overlap_blocks ?? 0, index: kinds[0]!.index };
    }

    it("send what goes on to the worker that holds it, whichever of them took the beginning", async () => {
      for (const [n, { first }] of asked.entries()) usageOf(await generate(stack, await requestOf(first, stack.text), routerOf(n)));
      for (const [n, { first, second }] of asked.entries()) {
        const other = routerOf(n + 1);
        await waitFor({ what: "the other router to know the blocks" }, async () => {
          const { blocks, quality, held, index } = await known(first, other);
          expect([quality, index.degraded]).toEqual(["exact", []]);
          return held === blocks && blocks > 0 ? true : undefined;
        });
        const { held } = await known(second, other);
        const usage = usageOf(await generate(stack, await requestOf(second, stack.text), other));
        // the worker caps it by the unexpanded prompt
        expect(usage.prompt_tokens_details?.cached_tokens ?? 0).toBe(Math.min(usage.prompt_tokens, held * blockSize));
        expect(held).toBeGreaterThan(0);
      }
    });

    it("know what is held as soon as they serve", async () => {
      const { place, model, component } = stack.system;
      const options = { model, servedName: publicModel, workers: component, component: "later", blockSize };
      const later = started.use(await startOurRouter(place, options));
      for (const { first } of asked) {
        const request = await requestOf(first, stack.text);
        const { candidates, kinds } = await explain(stack, request, later, "later");
        expect(Math.max(...candidates.map(({ overlap_blocks: held }) => held))).toBe(kinds[0]!.blocks);
      }
    });

    it("are no fault to mmr doctor", async () => {
      const said = await runDoctor(stack.system.place, "mm_router", stack.system.component);
      expect(said).toContain("each mm-router keeps an index of its own");
    });
  });
}
