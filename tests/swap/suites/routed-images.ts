// (b) the real frontend, (c) our frontend, each before our mm-router and real workers: images.
//
// All pictures of a test have one size and one text around them, so only their content can tell them apart.
import { dataUrl, type DynamoWorker, goldenPath, type HttpFrontend, publicModel, startImageServer } from "@mm-router/testkit";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Cell, CellOf } from "../harness/cell.ts";
import { annotated, type ChatAnswer, type ChatContent, chat, chatStreamed } from "../harness/chat.ts";
import { blocksIn, untilIndexed } from "../harness/index-view.ts";
import { pictureTokens, uniquePicture } from "../harness/pictures.ts";
import { uniquePrompt } from "../harness/prompts.ts";
import { workersThatSaw } from "../harness/served-by.ts";

export function routedImagesSuite(title: string, cell: CellOf, frontendOf: (cell: Cell) => HttpFrontend): void {
  const ask = (content: ChatContent, maxTokens = 8): Promise<ChatAnswer> =>
    chat(frontendOf(cell()).url, publicModel, content, { maxTokens });

  describe(`${title} before our mm-router, with images`, () => {
    it("sends an image again to the worker that holds it, and never takes another of its size for it", async (context) => {
      const { release, workers, indexer } = cell();
      if (release === "0.9.1")
        context.skip("Dynamo 0.9.1 tells nothing about images in its events; remedy: none, text before the image is matched");
      const pictures = Array.from({ length: 4 }, uniquePicture);
      const question = (picture: Buffer): ChatContent => [imagePart(dataUrl(picture)), { type: "text", text: "What is this?" }];
      const seen = callsPerImage(workers);
      const heldBefore = await blocksIn(indexer!.url);
      let stored = 0;
      for (const pair of [pictures.slice(0, 2), pictures.slice(2)]) {
        const answers = await Promise.all(pair.map((picture) => ask(question(picture), 40))); // one each: load
        expect(answers.map(({ usage }) => usage.prompt_tokens_details?.cached_tokens ?? 0)).toEqual([0, 0]);
        for (const { usage } of answers) stored += Math.floor((usage.prompt_tokens - 1 + pictureTokens + usage.completion_tokens - 1) / 32);
      }
      const first = callsPerImage(workers, seen);
      expect([...first.values()].map((servers) => servers.length)).toEqual([1, 1, 1, 1]);
      expect(new Set([...first.values()].flat()).size).toBe(2);

      await untilIndexed(indexer!.url, heldBefore + stored);
      for (const picture of pictures) {
        const { usage } = await ask(question(picture));
        expect(usage.prompt_tokens_details?.cached_tokens).toBe(usage.prompt_tokens); // counted before the expansion, and capped by it
      }
      const again = callsPerImage(workers, seen);
      expect([...again].map(([name, servers]) => [name, servers])).toEqual([...first].map(([name, [server]]) => [name, [server, server]]));
    });

    it("routes by the text before the first image", async (context) => {
      const { release, workers, indexer } = cell();
      if (release === "0.9.1")
        context.skip("Dynamo 0.9.1 puts images before the text of an image request; remedy: none, such requests are routed by load");
      const text = uniquePrompt();
      const heldBefore = await blocksIn(indexer!.url);
      const before = await ask(text, 8);
      const [holder] = workersThatSaw(workers, before.usage.prompt_tokens);
      await untilIndexed(indexer!.url, heldBefore + Math.floor((before.usage.prompt_tokens + 8 - 1) / 32));
      const seen = callsPerImage(workers);
      for (let i = 0; i < 3; i++) await ask([{ type: "text", text }, imagePart(dataUrl(uniquePicture()))]);
      expect(new Set([...callsPerImage(workers, seen).values()].flat())).toEqual(new Set([holder]));
    });

    it("tells a client that asks how sure its routing was, before all data", async () => {
      const { release } = cell();
      const content = [imagePart(dataUrl(uniquePicture())), { type: "text", text: "What is this?" }] as const;
      const event = await annotated(frontendOf(cell()).url, publicModel, content, "routing_quality");
      const quality = release === "0.9.1" ? '{"quality":"degraded","reason":"no-image-events"}' : '{"quality":"exact"}';
      expect(event).toBe(`event: routing_quality\n: ${quality}`);
    });

    it("takes several images of several kinds in one request, streamed", async () => {
      const { workers } = cell();
      await using images = await startImageServer();
      const jpeg = images.put("/photo.jpg", { body: readFileSync(goldenPath("multimodal/files/jpg_444.jpg")), contentType: "image/jpeg" });
      const content = [imagePart(jpeg), { type: "text", text: " and " }, imagePart(dataUrl(uniquePicture()))] as const;
      const before = requestsWith(workers, 2);
      const answer = await chatStreamed(frontendOf(cell()).url, publicModel, content, { maxTokens: 6 });
      expect(answer.usage.completion_tokens).toBe(6);
      expect(requestsWith(workers, 2)).toBe(before + 1);
      expect(images.requests()).toContain("/photo.jpg");
    });
  });
}

const imagePart = (url: string) => ({ type: "image_url", image_url: { url } }) as const;

/** For each image, by its name in the engines: the workers that were given it, in the order of workers; known ones left out. */
function callsPerImage(workers: readonly DynamoWorker[], known: ReadonlyMap<string, unknown> = new Map()): Map<string, number[]> {
  const calls = new Map<string, number[]>();
  for (const [index, worker] of workers.entries()) {
    for (const [name] of worker.engineCalls().flatMap(({ mm = [] }) => mm)) {
      if (!known.has(name)) calls.set(name, [...(calls.get(name) ?? []), index]);
    }
  }
  return calls;
}

function requestsWith(workers: readonly DynamoWorker[], images: number): number {
  return workers.flatMap((worker) => worker.engineCalls()).filter(({ mm }) => mm?.length === images).length;
}
