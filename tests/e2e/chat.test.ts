// The main job: text and images by the official OpenAI client through every process of ours, over TCP.
import { dataUrl, goldenPath, publicModel, startImageServer, waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { readFileSync } from "node:fs";
import type OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Chain, indexedBlocks, overlapBlocks, requestsOf, runningIn, startChain, sum } from "./harness/chain.ts";
import {
  chatRequest,
  imageRequest,
  pictureTokens,
  simulatedText,
  simulatedTokens,
  uniquePicture,
  uniquePictureUrl,
  uniquePrompt,
} from "./harness/requests.ts";

const blockSize = 32;
const imageBlocks = Math.floor(pictureTokens / blockSize);

await describeReal("chat through the whole chain", real.infra, () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await startChain({ requestPlane: "tcp", blockSize });
  });
  afterAll(() => chain?.[Symbol.asyncDispose]());

  const ask = (request: OpenAI.ChatCompletionCreateParamsNonStreaming) => chain.openai.chat.completions.create(request);

  describe("text", () => {
    it("lists the model that the routers serve", async () => {
      const ids: string[] = [];
      for await (const { id } of chain.openai.models.list()) ids.push(id);
      expect(ids).toContain(publicModel);
      expect(await chain.openai.models.retrieve(publicModel)).toMatchObject({ id: publicModel, object: "model" });
    });

    it("comes whole, with usage", async () => {
      const answer = await ask(chatRequest(uniquePrompt()));
      expect(answer.choices[0]).toMatchObject({ message: { role: "assistant", content: simulatedText }, finish_reason: "length" });
      expect(answer.usage).toMatchObject({ completion_tokens: simulatedTokens });
      expect(answer.usage!.total_tokens).toBe(answer.usage!.prompt_tokens + simulatedTokens);
    });

    it("comes streamed, piece by piece, usage last", async () => {
      const request = chatRequest(uniquePrompt(), 10 * simulatedTokens); // half a second: tokens of a moment in which a process slept come at once
      const stream = await chain.openai.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
      const chunks: OpenAI.ChatCompletionChunk[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      const pieces = chunks.flatMap(({ choices }) => choices[0]?.delta.content || []);
      expect(pieces.join("")).toBe(simulatedText.repeat(10));
      expect(pieces.length).toBeGreaterThan(2);
      expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 10 * simulatedTokens } });
    });

    it("comes as a completion, whole and streamed", async () => {
      const request = { model: publicModel, prompt: uniquePrompt(), max_tokens: simulatedTokens };
      const whole = await chain.openai.completions.create(request);
      expect(whole.choices[0]).toMatchObject({ text: simulatedText, finish_reason: "length" });
      let text = "";
      for await (const chunk of await chain.openai.completions.create({ ...request, stream: true })) text += chunk.choices[0]?.text ?? "";
      expect(text).toBe(simulatedText);
    });

    it("is answered by both replicas of the router", async () => {
      const before = await requestsOf(chain.routers);
      for (let i = 0; i < 4; i++) await ask(chatRequest(uniquePrompt(), 1));
      const after = await requestsOf(chain.routers);
      expect(after.map((requests, index) => requests - before[index]!)).toEqual([2, 2]);
    });

    it("stops in the worker when the client leaves", async () => {
      const stream = await chain.openai.chat.completions.create({ ...chatRequest(uniquePrompt(), 20_000), stream: true });
      for await (const chunk of stream) {
        if (!chunk.choices[0]?.delta.content) continue;
        await waitFor({ what: "one request to run" }, async () => sum(await runningIn(chain.simulatedWorkers)) === 1 || undefined);
        stream.controller.abort();
      }
      await waitFor({ what: "the worker to stop" }, async () =>
        sum(await runningIn([...chain.routers, ...chain.simulatedWorkers])) === 0 ? true : undefined,
      );
    });
  });

  describe("images", () => {
    it("go again to the worker that holds them, by either replica, and no other image is taken for them", async () => {
      const pictures = [uniquePictureUrl(), uniquePictureUrl()];
      const held = await indexedBlocks(chain);
      const first = await Promise.all(pictures.map((url) => served(imageRequest(url, 40)))); // together: one worker each
      expect(first.map(({ cached }) => cached)).toEqual([0, 0]);
      await untilIndexed(held + pictures.length * imageBlocks);

      for (const url of pictures) {
        const overlap = await overlapBlocks(chain);
        const again = [await served(imageRequest(url)), await served(imageRequest(url))];
        for (const { prompt, cached } of again) expect(cached).toBe(prompt); // counted before the image's expansion, and capped by it
        expect(new Set(again.map(({ router }) => router)).size).toBe(2);
        expect(new Set(again.map(({ worker }) => worker)).size).toBe(1);
        expect(await overlapBlocks(chain)).toBeGreaterThanOrEqual(overlap + again.length * imageBlocks);
      }
      const overlap = await overlapBlocks(chain);
      expect((await served(imageRequest(uniquePictureUrl()))).cached).toBe(0);
      expect(await overlapBlocks(chain)).toBe(overlap);
    });

    it("come from a web server too, streamed, and keep their worker", async () => {
      await using images = await startImageServer();
      const jpeg = images.put("/photo.jpg", { body: readFileSync(goldenPath("multimodal/files/jpg_444.jpg")), contentType: "image/jpeg" });
      const png = images.put("/large.png", { body: uniquePicture() });
      const held = await indexedBlocks(chain);
      const first = await served(imageRequest(png));
      expect(first.cached).toBe(0);
      await untilIndexed(held + imageBlocks);
      expect(await served(imageRequest(png))).toMatchObject({ worker: first.worker, cached: first.prompt });

      const stream = await chain.openai.chat.completions.create({ ...imageRequest(jpeg), stream: true });
      let text = "";
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
      expect(text).toBe(simulatedText);
      expect(images.requests()).toContain("/photo.jpg");
    });

    it("have one name as data: and behind a URL: the frontend gives the one, mm-router the other", async () => {
      await using images = await startImageServer();
      const picture = uniquePicture();
      const held = await indexedBlocks(chain);
      const first = await served(imageRequest(dataUrl(picture)));
      await untilIndexed(held + imageBlocks);
      const again = await served(imageRequest(images.put("/same.png", { body: picture })));
      expect(again).toMatchObject({ worker: first.worker, cached: first.prompt });
    });
  });

  interface Served {
    readonly worker: number;
    readonly router: number;
    readonly prompt: number;
    readonly cached: number;
  }

  /** Asks, and tells who served: exact only while nothing else is asked. */
  async function served(request: OpenAI.ChatCompletionCreateParamsNonStreaming): Promise<Served> {
    const before = [await requestsOf(chain.simulatedWorkers), await requestsOf(chain.routers)];
    const { usage } = await ask(request);
    const after = [await requestsOf(chain.simulatedWorkers), await requestsOf(chain.routers)];
    const [worker, router] = after.map((counts, kind) => counts.findIndex((count, index) => count > before[kind]![index]!));
    return { worker: worker!, router: router!, prompt: usage!.prompt_tokens, cached: usage!.prompt_tokens_details?.cached_tokens ?? 0 };
  }

  async function untilIndexed(blocks: number): Promise<void> {
    await waitFor({ what: `the index to hold ${blocks} blocks` }, async () => ((await indexedBlocks(chain)) >= blocks ? true : undefined));
  }
});
