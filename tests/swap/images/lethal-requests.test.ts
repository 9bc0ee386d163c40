// Image requests of which workers ≤ 1.5 die: the router answers them itself, for certain cases only; what is not certain goes through.
//
//   certain      → 400, and the worker lives      shown at the end: without the router the same request ends it
//   not certain  → the worker's own answer
import { type Cluster, cluster, dataUrl, solidPng, startImageServer, waitFor } from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Message, Part } from "../harness/conversations.ts";
import { generate, type ImageRequest, type ProofStack, requestOf, textModelOf, usageOf } from "../harness/image-proof.ts";
import { callInstance, connectTo } from "../harness/our-client.ts";

const batchTokens = 2_000;
const text: Part = { type: "text", text: "What is this?" };
const image = (url: string): Part => ({ type: "image_url", image_url: { url } });
const picture = (width: number, height: number): string => dataUrl(solidPng(width, height, 0x336699));
const user = (...content: Part[]): Message[] => [{ role: "user", content }];

await describeRelease("requests of which a worker of 1.4.2 dies", "1.4.2", () => {
  const started = new AsyncDisposableStack();
  let stack: ProofStack & { readonly system: Cluster };

  beforeAll(async () => {
    const workers = { release: "1.4.2", count: 1, args: ["--max-num-tokens", `${batchTokens}`] } as const;
    const system = started.use(await cluster({ requestPlane: "tcp", modelType: "qwen2_5_vl", workers, routers: 1 }));
    const runtime = await connectTo(system.place);
    started.defer(() => runtime.close());
    stack = { system, runtime, text: await textModelOf(system) };
  });
  afterAll(() => started.disposeAsync());

  const requestFor = (messages: Message[]): Promise<ImageRequest> => requestOf(messages, stack.text);
  const narrow = (): Promise<ImageRequest> => requestFor(user(image(picture(1, 300)), text));

  async function expectAlive(): Promise<void> {
    expect(usageOf(await generate(stack, await requestFor(user(image(picture(84, 84)), text)))).prompt_tokens).toBeGreaterThan(0);
    expect([stack.system.workers[0]!.child.running, await outcome()]).toEqual([true, "ended"]);
  }

  let told = 0;
  /** Of the request just answered, as the router tells it once in its log. */
  const outcome = (): Promise<string> =>
    waitFor({ what: "the router's log line" }, async () => {
      const lines = stack.system.routers[0]!.child.lastLines().filter((line) => line.includes('"request done"'));
      const line = lines[told];
      if (line === undefined) return undefined;
      told++;
      return (JSON.parse(line) as { outcome: string }).outcome;
    });

  it("are answered with 400 and a sentence, and the worker lives", async () => {
    const good = await requestFor(user(image(picture(84, 84)), text));
    const lethal: [request: ImageRequest, says: RegExp][] = [
      [await narrow(), /1 × 300 pixels/],
      [{ ...good, token_ids: [...good.token_ids, good.token_ids.find((id) => id === 151_655)!] }, /2 image placeholders for 1 images/],
      [await requestFor(user(...Array.from({ length: 3 }, () => image(picture(1_000, 1_000))), text)), /tokens with its images/],
      [{ ...good, token_ids: [], multi_modal_data: { image_url: [] } }, /no tokens/],
    ];
    for (const [request, says] of lethal) {
      const { error, items } = await generate(stack, request);
      expect([items, error?.status, error?.message, await outcome()]).toEqual([[], 400, expect.stringMatching(says), "refused"]);
    }
    await expectAlive();
  });

  it("go through where it is not certain: an image that nobody can read gets the worker's own answer, which survives it", async () => {
    await using server = await startImageServer();
    for (const url of [server.put("/gone", { status: 404 }), dataUrl(Buffer.from("no image at all")), "https://[::1]:1/x.png"]) {
      const { error } = await generate(stack, await requestFor(user(image(url), text)));
      expect([error === undefined, await outcome()]).toEqual([false, "worker_failed"]);
    }
    await expectAlive();
  });

  it("do end it without the router", async () => {
    const [worker] = stack.system.workers;
    await callInstance(stack.runtime, stack.system.place, worker!, await narrow());
    await waitFor({ what: "the worker's end" }, async () => (worker!.child.running ? undefined : true));
  });
});
