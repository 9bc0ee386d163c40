// (b) the real frontend, (c) our frontend, each before our mm-router and real workers: text.
//
// Which worker answered is read from the engines' logs. What the router could know is waited for in the index.
import { type HttpFrontend, internalModel, publicModel } from "@mm-router/testkit";
import { describe, expect, it } from "vitest";
import type { Cell, CellOf } from "../harness/cell.ts";
import { type ChatAnswer, chat, chatStreamed } from "../harness/chat.ts";
import { blocksIn, untilIndexed } from "../harness/index-view.ts";
import { uniquePrompt } from "../harness/prompts.ts";
import { workersThatSaw } from "../harness/served-by.ts";

export function routedSuite(title: string, cell: CellOf, frontendOf: (cell: Cell) => HttpFrontend): void {
  describe(`${title} before our mm-router`, () => {
    const ask = (prompt: string, maxTokens = 8): Promise<ChatAnswer> => chat(frontendOf(cell()).url, publicModel, prompt, { maxTokens });

    it("answers what the worker answers without us, streamed and not", async () => {
      const prompt = uniquePrompt();
      const direct = await chat(cell().realFrontend.url, internalModel, prompt, { maxTokens: 12 });
      const routed = await ask(prompt, 12);
      const streamed = await chatStreamed(frontendOf(cell()).url, publicModel, prompt, { maxTokens: 12 });
      for (const { text, finishReason, usage } of [routed, streamed]) {
        expect({ text, finishReason, tokens: usage.completion_tokens }).toEqual({ text: direct.text, finishReason: "length", tokens: 12 });
      }
    });

    it("sends a prompt again to the worker that holds it, which reports cached tokens", async () => {
      const pairs = Array.from({ length: 3 }, () => [uniquePrompt(), uniquePrompt()]);
      const { workers, indexer } = cell();
      const heldBefore = await blocksIn(indexer!.url);
      const first: ChatAnswer[] = [];
      for (const pair of pairs) first.push(...(await Promise.all(pair.map((prompt) => ask(prompt, 40))))); // one each: load
      await untilIndexed(indexer!.url, heldBefore + first.reduce((sum, answer) => sum + storedBlocksOf(answer), 0));
      const servers = first.map(({ usage }) => workersThatSaw(workers, usage.prompt_tokens));
      expect(servers.map((seen) => seen.length)).toEqual([1, 1, 1, 1, 1, 1]);
      expect(new Set(servers.flat()).size).toBe(2);
      for (const [index, prompt] of pairs.flat().entries()) {
        const again = await ask(prompt);
        expect(again.usage.prompt_tokens_details?.cached_tokens).toBe(cachedTokensOf(again));
        expect(workersThatSaw(workers, again.usage.prompt_tokens)).toEqual([servers[index]![0], servers[index]![0]]);
      }
    });
  });
}

/** Full blocks of prompt and answer; the answer's last token has no entry in the cache. */
function storedBlocksOf({ usage }: ChatAnswer): number {
  return Math.floor((usage.prompt_tokens + usage.completion_tokens - 1) / 32);
}

/** Full blocks of the prompt without its last token, which is always computed. */
function cachedTokensOf({ usage }: ChatAnswer): number {
  return Math.floor((usage.prompt_tokens - 1) / 32) * 32;
}
