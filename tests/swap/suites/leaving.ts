// A client that leaves in the middle of a stream, before either frontend and our mm-router.
//
// Comes after all claims about routing: workers of 0.9 and 1.0 compute to the end, and the router goes on counting their load.
import { type HttpFrontend, publicModel, waitFor } from "@mm-router/testkit";
import { describe, it } from "vitest";
import type { Cell, CellOf } from "../harness/cell.ts";
import { blocksIn, untilIndexed } from "../harness/index-view.ts";
import { uniquePrompt } from "../harness/prompts.ts";

export function leavingSuite(title: string, cell: CellOf, frontendOf: (cell: Cell) => HttpFrontend): void {
  describe(`${title} before our mm-router, left in the middle`, () => {
    it("tells the engine when the client leaves, where the engine listens", async () => {
      const { release, workers, indexer } = cell();
      const computesToTheEnd = ["0.9.1", "1.0.2"].includes(release);
      const maxTokens = computesToTheEnd ? 640 : 10_000; // else it might have ended before a busy machine tells the engine
      const aborts = () => workers.flatMap((worker) => worker.engineCalls()).filter(({ op }) => op === "abort").length;
      const abortsBefore = aborts();
      const heldBefore = await blocksIn(indexer!.url);
      await leaveAfterFirstChunk(frontendOf(cell()).url, {
        model: publicModel,
        max_tokens: maxTokens,
        messages: [{ role: "user", content: uniquePrompt() }],
      });
      if (computesToTheEnd) await untilIndexed(indexer!.url, heldBefore + maxTokens / 32);
      else await waitFor({ what: "the engine's abort" }, async () => aborts() > abortsBefore || undefined);
    });
  });
}

async function leaveAfterFirstChunk(url: string, body: object): Promise<void> {
  const leaving = new AbortController();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, stream: true }),
    signal: leaving.signal,
  });
  await response.body!.getReader().read();
  leaving.abort();
}
