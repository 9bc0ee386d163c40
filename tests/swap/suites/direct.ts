// (d) Our frontend in front of a real worker, under the worker's own name: its answers are those of the real frontend.
import { internalModel } from "@mm-router/testkit";
import { describe, expect, it } from "vitest";
import type { CellOf } from "../harness/cell.ts";
import { chat, chatStreamed } from "../harness/chat.ts";
import { uniquePrompt } from "../harness/prompts.ts";

export function directSuite(cell: CellOf): void {
  describe("our frontend before a real worker", () => {
    it("answers a chat as the real frontend does", async () => {
      const { ourFrontend, realFrontend } = cell();
      const prompt = uniquePrompt();
      const theirs = await chat(realFrontend.url, internalModel, prompt);
      const ours = await chat(ourFrontend.url, internalModel, prompt);
      expect(ours.text).not.toBe("");
      expect({ ...ours, usage: withoutCache(ours) }).toEqual({ ...theirs, usage: withoutCache(theirs) });
    });

    it("streams the same text in as many pieces, with usage at the end", async () => {
      const { ourFrontend, realFrontend } = cell();
      const prompt = uniquePrompt();
      const theirs = await chatStreamed(realFrontend.url, internalModel, prompt, { maxTokens: 24 });
      const ours = await chatStreamed(ourFrontend.url, internalModel, prompt, { maxTokens: 24 });
      expect(ours.chunks).toBeGreaterThan(5);
      expect({ ...ours, usage: withoutCache(ours) }).toEqual({ ...theirs, usage: withoutCache(theirs) });
    });
  });
}

/** Which worker answered decides what was cached, and round robin decides which worker. */
function withoutCache({ usage: { prompt_tokens, completion_tokens } }: Awaited<ReturnType<typeof chat>>): object {
  return { prompt_tokens, completion_tokens };
}
