// What workers of ≥ 1.4 do when nobody sets DYN_EVENT_PLANE: they publish over ZMQ. Two indexers of ours bridge them into one log.
import { etcdEntries, type Release, waitFor } from "@mm-router/testkit";
import { describeProof } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { expectSameBlocks, type IndexStack, type StackIndexer, startIndexStack } from "./harness/index-stack.ts";
import { logOf } from "./harness/log-view.ts";
import { callInstance, type Target } from "./harness/our-client.ts";
import { tokensRequest } from "./harness/tokens-request.ts";

for (const [release, requestPlane] of [
  ["1.4.2", "nats"],
  ["1.6.1", "tcp"],
] as const satisfies readonly (readonly [Release, string])[]) {
  await describeProof(`KV events of Dynamo ${release} over ZMQ, requests over ${requestPlane}`, release, () => {
    let stack: IndexStack;
    beforeAll(async () => {
      stack = await startIndexStack({ release, requestPlane, eventPlane: "unset" });
    });
    afterAll(() => stack?.[Symbol.asyncDispose]());

    const ask = async (target: Target, first: number): Promise<void> =>
      expect((await callInstance(stack.runtime, stack.place, target, tokensRequest(first))).error).toBeUndefined();

    /** As often as the workers published, whoever bridged it. */
    async function expectEachMessageOnce(component: string): Promise<void> {
      const { messages, messageIds } = await logOf(stack.runtime, stack.place, component);
      expect(messages).toBeGreaterThan(0);
      expect([messageIds.length, new Set(messageIds).size]).toEqual([messages, messages]);
    }

    it("of two real workers are in both indexes block for block, and once in the log, also after a worker was killed", async () => {
      const first = await stack.worker();
      await waitFor({ what: "one channel of KV events over ZMQ" }, async () => {
        const channels = await etcdEntries(stack.place.etcdUrl, "v1/event_channels/");
        return channels.filter(({ key, value }) => key.includes("/kv-events/") && value.includes('"Zmq"')).length === 1 || undefined;
      });
      await ask(first, 1_000); // before any indexer is there
      const one = await stack.indexer(first.component);
      const two = await stack.indexer(first.component);
      const second = await stack.worker();
      const both: StackIndexer[] = [one, two];
      for (let i = 0; i < 8; i++) await Promise.all([ask(first, 2_000 + 100 * i), ask(second, 2_000 + 150 * i)]);
      for (const indexer of both) expect(await expectSameBlocks(stack, indexer, [first, second])).toBeGreaterThan(16);
      await expectEachMessageOnce(first.component);
      await first.kill();
      await ask(second, 9_000);
      for (const indexer of both) await expectSameBlocks(stack, indexer, [second]); // its lease ends after 10 s, 1.6: 30 s
    });

    it("of a real mocker are in our index block for block", async () => {
      const mocker = await stack.mocker();
      const indexer = await stack.indexer(mocker.component);
      for (let i = 0; i < 4; i++) await ask(mocker, 3_000 + 64 * i);
      expect(await expectSameBlocks(stack, indexer, [mocker])).toBeGreaterThan(3);
    });
  });
}
