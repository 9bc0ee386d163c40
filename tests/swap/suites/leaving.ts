// A client that leaves in the middle of a stream, before either frontend and our mm-router.
//
// Comes after all claims about routing: workers of 0.9 and 1.0 compute to the end, and the router goes on counting their load.
import { type HttpFrontend, publicModel } from "@mm-router/testkit";
import { describe, expect, it } from "vitest";
import type { Cell, CellOf } from "../harness/cell.ts";
import { untilAborted } from "../harness/engine-aborts.ts";
import { blocksIn, untilIndexed } from "../harness/index-view.ts";
import { uniquePrompt } from "../harness/prompts.ts";

export function leavingSuite(title: string, cell: CellOf, frontendOf: (cell: Cell) => HttpFrontend): void {
  describe(`${title} before our mm-router, left in the middle`, () => {
    it("tells the engine when the client leaves, where the engine listens", async () => {
      const { release, workers, indexer } = cell();
      const leave = (maxTokens: number) =>
        leaveAfterFirstChunk(frontendOf(cell()).url, {
          model: publicModel,
          max_tokens: maxTokens,
          messages: [{ role: "user", content: uniquePrompt() }],
        });
      if (["0.9.1", "1.0.2"].includes(release)) {
        const heldBefore = await blocksIn(indexer!.url);
        await leave(640);
        await untilIndexed(indexer!.url, heldBefore + 640 / 32);
      } else await untilAborted(workers, () => leave(10_000)); // fewer might have come before a busy machine tells the engine
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
  expect(response.status).toBe(200);
  await response.body!.getReader().read();
  leaving.abort();
}
