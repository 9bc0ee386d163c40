// What breaks and comes back: NATS and etcd restarted, a worker and a router killed. In that order: what is killed stays away.
//
// After each outage of a server every process of ours must serve again, none of them restarted: both routers, both workers,
// and an index that hears of new blocks.
import { type OurProcess, waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Chain, overlapBlocks, processesOf, requestsOf, runningIn, startChain } from "./harness/chain.ts";
import { chatRequest, simulatedText, uniquePrompt } from "./harness/requests.ts";

/** A lease that was lost with its etcd is noticed, registered anew and listed everywhere. */
const recoveryMs = 40_000;

await describeReal("outages", real.infra, () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await startChain({ requestPlane: "nats" });
  });
  afterAll(() => chain?.[Symbol.asyncDispose]());

  const ask = async (prompt: string, timeout = 30_000): Promise<string | null> =>
    (await chain.openai.chat.completions.create(chatRequest(prompt), { timeout })).choices[0]!.message.content;
  /** For who asks again. */
  const impatientMs = 5_000;

  describe("every process serves again, and KV hits come back, after a restart of", () => {
    it.each([
      { server: "etcd", wipe: false, store: "kept" },
      { server: "etcd", wipe: true, store: "wiped" },
      { server: "nats", wipe: false, store: "kept" },
      { server: "nats", wipe: true, store: "wiped" },
    ] as const)("$server, its store $store", async ({ server, wipe }) => {
      await chain[server].restart({ wipe });
      await untilServed([...chain.routers, ...chain.simulatedWorkers]);
      await untilHit();
      expect(processesOf(chain).map(({ child }) => child.running)).toEqual([true, true, true, true, true, true]);
    });
  });

  describe("kill -9", () => {
    it("of a worker in the middle of a stream: an error within 2 s, and later requests are served though its record stays", async () => {
      const stream = await chain.openai.chat.completions.create({ ...chatRequest(uniquePrompt(), 3_000), stream: true });
      let killedAt = Number.NaN;
      const reading = (async () => {
        for await (const chunk of stream) {
          if (!chunk.choices[0]?.delta.content || !Number.isNaN(killedAt)) continue;
          const busy = (await runningIn(chain.simulatedWorkers)).indexOf(1);
          killedAt = performance.now();
          await chain.simulatedWorkers[busy]!.kill();
        }
      })();
      await expect(reading).rejects.toMatchObject({ error: { type: "service_unavailable", code: 503 } });
      expect(performance.now() - killedAt).toBeLessThan(2_000);
      for (let i = 0; i < 4; i++) expect(await ask(uniquePrompt())).toBe(simulatedText);
    });

    it("of one of two routers: the next requests are served", async () => {
      await untilServed(chain.routers); // whoever lost the worker's stream is left alone for 5 s
      await chain.routers[0]!.kill();
      for (let i = 0; i < 6; i++) expect(await ask(uniquePrompt())).toBe(simulatedText);
    });
  });

  /** Asks until each of the services has answered since now. */
  async function untilServed(services: readonly OurProcess[]): Promise<void> {
    const before = await requestsOf(services);
    await waitFor({ what: "every router and worker to serve again", deadlineMs: recoveryMs }, async () => {
      await Promise.all([ask(uniquePrompt(), impatientMs), ask(uniquePrompt(), impatientMs)]); // together: load spreads them
      const now = await requestsOf(services);
      return now.every((requests, index) => requests > before[index]!) ? true : undefined;
    });
  }

  /** Asks a new prompt until the index has it: the routers then know where its blocks are. */
  async function untilHit(): Promise<void> {
    const prompt = uniquePrompt();
    const before = await overlapBlocks(chain);
    await waitFor({ what: "a KV hit", deadlineMs: recoveryMs }, async () => {
      await ask(prompt, impatientMs);
      return (await overlapBlocks(chain)) > before ? true : undefined;
    });
  }
});
