// What client libraries see of the real frontend 1.6.1, over the worker and the models that ours is seen with in
// services/frontend/test/clients.test.ts: each feature passes here too, but for those whose loss is a fault that we do not copy.
import { rmSync } from "node:fs";
import { makeRunDirectory } from "@mm-router/cli/infra";
import { projectRoot, startDynamoFrontend } from "@mm-router/testkit";
import { describeProof } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { aiSdk } from "../../services/frontend/test/clients/ai-sdk.ts";
import { type Bench, type Client, seenBy, startBench } from "../../services/frontend/test/clients/client-bench.ts";
import { langchain } from "../../services/frontend/test/clients/langchain.ts";
import { openaiNode } from "../../services/frontend/test/clients/openai-node.ts";
import { openaiPython } from "../../services/frontend/test/clients/openai-python.ts";
import { Stack } from "../../services/frontend/test/replay/stack.ts";

const release = "1.6.1";

await describeProof("features of client libraries on the real frontend", release, () => {
  let bench: Bench;
  const started = new AsyncDisposableStack();

  beforeAll(async () => {
    const stack = started.use(await Stack.start());
    const directory = makeRunDirectory(projectRoot);
    started.defer(() => rmSync(directory, { recursive: true, force: true }));
    const { namespace, nats, etcd } = stack;
    const place = { natsUrl: nats.url, etcdUrl: etcd.url, namespace, requestPlane: "nats", eventPlane: "nats", directory } as const;
    const { url } = started.use(await startDynamoFrontend(place, { release, args: ["--enable-anthropic-api"] }));
    bench = await startBench(url, await stack.runtime(), namespace);
  });
  afterAll(() => started.disposeAsync());

  it.each<Client>([openaiNode, openaiPython, ...aiSdk, ...langchain])(
    "$name: those that ours passes, but for the faults of this one",
    async (client) => {
      const { expected, lostOnTheRealOne: lost } = client;
      const seen = await seenBy(client, bench);
      const differing = Object.keys(expected).filter((name) => {
        try {
          expect(seen[name]).toEqual(expected[name]);
          return false;
        } catch {
          return true;
        }
      });
      expect(differing.toSorted()).toEqual(lost.toSorted());
    },
  );
});
