// kill -9 of the indexer, of nats-server, of both, while a real worker stores and evicts: our index equals the worker's own again within
// 5 s of the processes being up. Requests go over TCP, so that the worker works on and events are really lost.
//
//   MMR_TEST_KILLS=51 npm test -- --project swap tests/swap/index-kills.test.ts        the long form; 6 kills otherwise
import { newestRelease } from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectSameBlocks, type IndexStack, type StackIndexer, startIndexStack } from "./harness/index-stack.ts";
import { callInstance, type Target } from "./harness/our-client.ts";
import { tokensRequest } from "./harness/tokens-request.ts";

const kills = Number(process.env.MMR_TEST_KILLS ?? 6);
const equalWithinMs = 5_000;

await describeRelease(`kill -9 under KV events of Dynamo ${newestRelease}`, newestRelease, () => {
  describe.each(["nats", "zmq"] as const)("over %s", (eventPlane) => {
    let stack: IndexStack;
    let worker: Target;
    let indexer: StackIndexer;
    beforeAll(async () => {
      stack = await startIndexStack({ release: newestRelease, requestPlane: "tcp", eventPlane });
      worker = await stack.worker({ engine: { SIM_BLOCKS: "64" } }); // every request evicts what an earlier one stored
      indexer = await stack.indexer(worker.component);
    });
    afterAll(() => stack?.[Symbol.asyncDispose]());

    it(`${kills} times: equal to the worker again within 5 s`, { timeout: 60_000 + kills * 20_000 }, async () => {
      const took: number[] = [];
      for (let round = 0; round < kills; round++) {
        const kill = [killIndexer, killNats, killBoth][round % 3]!;
        const load = startLoad(stack, worker);
        await load.answered(5);
        await kill(() => load.answered(5));
        await load.stop();
        const upAt = performance.now();
        expect(await expectSameBlocks(stack, indexer, [worker], equalWithinMs), `${kill.name}, round ${round}`).toBeGreaterThan(10);
        took.push(performance.now() - upAt);
      }
      took.sort((a, b) => a - b);
      console.info(
        `swap: ${kills} kills over ${eventPlane}: equal after ${took[kills >> 1]!.toFixed(0)} ms (median), ${took.at(-1)!.toFixed(0)} ms (max)`,
      );
    });

    async function killIndexer(meanwhile: () => Promise<void>): Promise<void> {
      await indexer.kill();
      await meanwhile();
      indexer = await stack.indexer(worker.component);
    }

    async function killNats(meanwhile: () => Promise<void>): Promise<void> {
      await stack.nats.kill();
      await meanwhile();
      await stack.nats.restart();
    }

    async function killBoth(meanwhile: () => Promise<void>): Promise<void> {
      await Promise.all([indexer.kill(), stack.nats.kill()]);
      await meanwhile();
      await stack.nats.restart();
      indexer = await stack.indexer(worker.component);
    }
  });
});

interface Load {
  /** Resolves after so many more answers. */
  answered(count: number): Promise<void>;
  stop(): Promise<void>;
}

let prompts = 0;

/** Two requests at a time, each with three full blocks of its own. */
function startLoad({ runtime, place }: IndexStack, target: Target): Load {
  const stopping = new AbortController();
  let answers = 0;
  const ask = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const { error } = await callInstance(runtime, place, target, tokensRequest(100 * (prompts++ % 1_400)));
      expect(error).toBeUndefined();
      answers++;
    }
  };
  const asking = Promise.all([ask(), ask()]);
  return {
    answered: async (count) => {
      const wanted = answers + count;
      await expect.poll(() => answers, { timeout: 20_000, interval: 20 }).toBeGreaterThanOrEqual(wanted);
    },
    stop: async () => {
      stopping.abort();
      await asking;
    },
  };
}
