// What programs see of ours through the libraries they are written with. The same features on the real frontend: tests/swap.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aiSdk } from "./clients/ai-sdk.ts";
import { type Bench, type Client, seenBy, startBench } from "./clients/client-bench.ts";
import { langchain } from "./clients/langchain.ts";
import { openaiNode } from "./clients/openai-node.ts";
import { Stack } from "./replay/stack.ts";

describe("features of client libraries", () => {
  let stack: Stack;
  let bench: Bench;

  beforeAll(async () => {
    stack = await Stack.start();
    const { url } = await stack.frontend(["--enable-anthropic-api"]);
    bench = await startBench(url, await stack.runtime(), stack.namespace);
  });
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
  });

  it.each<Client>([openaiNode, ...aiSdk, ...langchain])("$name: all of them", async (client) => {
    expect(await seenBy(client, bench)).toEqual(client.expected);
  });
});
