// Workers of 0.9.1 build the prompt of an image request themselves, all images first, and their events name no image. What is predicted
// of such a request is published: the template's head where the request begins with its image, and nothing else.
import { type Cluster, cluster, dataUrl, solidPng, waitFor } from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Message, Part } from "../harness/conversations.ts";
import { explain, generate, holdersOf, type ProofStack, requestOf, textModelOf, usageOf } from "../harness/image-proof.ts";
import { dumpOfIndexer } from "../harness/index-view.ts";
import { connectTo } from "../harness/our-client.ts";

const blockSize = 8; // the head has 15 tokens
const image: Part = { type: "image_url", image_url: { url: dataUrl(solidPng(84, 84, 0x336699)) } };
const text: Part = { type: "text", text: "The river is wide and the old bridge is long. What is this?" };
const user = (...content: Part[]): Message => ({ role: "user", content });

await describeRelease("image requests to workers of 0.9.1", "0.9.1", () => {
  const started = new AsyncDisposableStack();
  let stack: ProofStack & { readonly system: Cluster };

  beforeAll(async () => {
    const workers = { release: "0.9.1", engine: { SIM_BLOCK_SIZE: `${blockSize}` } } as const;
    const system = started.use(
      await cluster({ requestPlane: "tcp", modelType: "qwen2_5_vl", blockSize, workers, indexer: true, routers: 1 }),
    );
    const runtime = await connectTo(system.place);
    started.defer(() => runtime.close());
    stack = { system, runtime, text: await textModelOf(system) };
  });
  afterAll(() => started.disposeAsync());

  it("have the template's head in common with our prompt when they begin with their image", async () => {
    const request = await requestOf([user(image, text)], stack.text);
    const [kind] = (await explain(stack, request)).kinds;
    expect(kind).toMatchObject({ quality: "degraded", degraded: [{ reason: "no-image-events" }], blocks: 1 });
    usageOf(await generate(stack, request));
    await waitFor({ what: "the head's block in the index" }, async () =>
      holdersOf(await dumpOfIndexer(stack.system.indexer!.url), kind!.block_hashes).length > 0 ? true : undefined,
    );
  });

  it("have nothing in common when text or a system prompt comes before", async () => {
    for (const messages of [[user(text, image)], [{ role: "system", content: "Be kind." } as const, user(image)]]) {
      const [kind] = (await explain(stack, await requestOf(messages, stack.text))).kinds;
      expect(kind).toMatchObject({ quality: "fallback", degraded: [{ reason: "prompt-rebuilt" }], blocks: 0 });
    }
  });
});
