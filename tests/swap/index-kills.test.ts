// kill -9 of the indexer, of nats-server, of both, while a real worker stores and evicts: our index equals the worker's own again within
// 5 s of the processes being up. Requests go over TCP, so that the worker works on and events are really lost. The indexer writes snapshots
// all the time, so that it is killed while it writes one, and starts from whatever is there.
//
//   MMR_TEST_KILLS=51 npm test -- --project swap tests/swap/index-kills.test.ts        the long form; 6 kills otherwise
import { newestRelease, waitFor } from "@mm-router/testkit";
import { describeProof } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectSameBlocks, type IndexStack, type StackIndexer, startIndexStack } from "./harness/index-stack.ts";
import type { Target } from "./harness/our-client.ts";
import { startTokenLoad } from "./harness/token-load.ts";

const kills = Number(process.env.MMR_TEST_KILLS ?? 6);
const equalWithinMs = 5_000;
const snapshots = { MMR_SNAPSHOT_INTERVAL_SECS: "0.3" };

await describeProof(`kill -9 under KV events of Dynamo ${newestRelease}`, newestRelease, () => {
  describe.each(["nats", "zmq"] as const)("over %s", (eventPlane) => {
    let stack: IndexStack;
    let worker: Target;
    let indexer: StackIndexer;
    beforeAll(async () => {
      stack = await startIndexStack({ release: newestRelease, requestPlane: "tcp", eventPlane });
      worker = await stack.worker({ engine: { SIM_BLOCKS: "64" } }); // every request evicts what an earlier one stored
      indexer = await stack.indexer(worker.component, snapshots);
    });
    afterAll(() => stack?.[Symbol.asyncDispose]());

    it(`${kills} times: equal to the worker again within 5 s`, { timeout: 60_000 + kills * 20_000 }, async () => {
      const took: number[] = [];
      let starts = 0;
      for (let round = 0; round < kills; round++) {
        const kill = [killIndexer, killNats, killBoth][round % 3]!;
        const load = startTokenLoad(stack, worker);
        await load.answered(5);
        if (starts === 0 && kill !== killNats) await untilSnapshot(indexer);
        await kill(() => load.answered(5));
        await load.stop();
        const upAt = performance.now();
        expect(await expectSameBlocks(stack, indexer, [worker], equalWithinMs), `${kill.name}, round ${round}`).toBeGreaterThan(10);
        took.push(performance.now() - upAt);
        if (kill !== killNats) starts += Number(await isFromSnapshot(indexer));
      }
      expect(starts).toBeGreaterThan(0);
      took.sort((a, b) => a - b);
      console.info(
        `swap: ${kills} kills over ${eventPlane}: equal after ${took[kills >> 1]!.toFixed(0)} ms (median), ${took.at(-1)!.toFixed(0)} ms (max); ${starts} starts from a snapshot`,
      );
    });

    async function killIndexer(meanwhile: () => Promise<void>): Promise<void> {
      await indexer.kill();
      await meanwhile();
      indexer = await stack.indexer(worker.component, snapshots);
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
      indexer = await stack.indexer(worker.component, snapshots);
    }
  });
});

/** Whether an indexer began with a snapshot. */
async function isFromSnapshot({ url }: StackIndexer): Promise<boolean> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return metrics.includes('mm_router_indexer_snapshots_total{outcome="restored"} 1');
}

/** The next start has one to begin with. */
async function untilSnapshot({ url }: StackIndexer): Promise<void> {
  await waitFor({ what: "a snapshot" }, async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return metrics.includes('mm_router_indexer_snapshots_total{outcome="written"}') || undefined;
  });
}
