// What Python programs see of ours through the official client. The same features on the real frontend: tests/swap.
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Bench, seenBy, startBench } from "./clients/client-bench.ts";
import { openaiPython } from "./clients/openai-python.ts";
import { Stack } from "./replay/stack.ts";

await describeReal("features of Python's client library", real.clients, () => {
  let stack: Stack;
  let bench: Bench;

  beforeAll(async () => {
    stack = await Stack.start();
    const { url } = await stack.frontend();
    bench = await startBench(url, await stack.runtime(), stack.namespace);
  });
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  it("openai-python: all of them", async () => {
    expect(await seenBy(openaiPython, bench)).toEqual(openaiPython.expected);
  });
});
