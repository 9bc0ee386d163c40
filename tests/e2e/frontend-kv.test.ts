// The frontend's own KV mode: no mm-router, two workers (simulated), and an index that is served or the frontend's own.
//
// An index of its own tells nobody what it holds: the indexer, a witness then, says when the events are there, and a prompt that came too
// soon is followed by others.
import { type Cluster, cluster, type HttpFrontend, internalModel, metricOf, waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { uniquePrompt } from "./harness/requests.ts";

const blockSize = 32;

for (const index of ["served", "own"] as const) {
  await describeReal(`a frontend with --router-mode kv, index ${index}`, real.infra, () => {
    let system: Cluster;
    let frontend: HttpFrontend;
    beforeAll(async () => {
      system = await cluster({
        workers: { count: 2 },
        indexer: true,
        blockSize,
        frontends: ["ours"],
        environment: { DYN_ROUTER_MODE: "kv", MMR_INDEX: index },
      });
      frontend = system.frontends[0]!;
    });
    afterAll(() => system?.[Symbol.asyncDispose]());

    /** Who answered, and how much of the prompt it had. */
    async function ask(content: string): Promise<{ worker: string; cached: number }> {
      const response = await fetch(`${frontend.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: internalModel,
          messages: [{ role: "user", content }],
          max_tokens: 4,
          nvext: { extra_fields: ["worker_id"] },
        }),
      });
      const text = await response.text();
      expect(response.status, text).toBe(200);
      const worker = /"decode_worker_id":(\d+)/.exec(text)![1]!; // more digits than a number holds
      return { worker, cached: Number(/"cached_tokens":(\d+)/.exec(text)?.[1] ?? 0) };
    }

    const indexed = () => metricOf(system.indexer!, "mm_router_indexer_blocks");

    it("sends a prompt where its blocks are, and other prompts to whoever has less to do", async () => {
      await waitFor({ what: "every prompt to go where its blocks are" }, async () => {
        const before = await indexed();
        const prompts = Array.from({ length: 12 }, uniquePrompt);
        const first = await Promise.all(prompts.map(ask));
        expect(new Set(first.map(({ worker }) => worker)).size).toBe(2);
        expect(first.every(({ cached }) => cached === 0)).toBe(true);
        await waitFor({ what: "the index to hold the prompts" }, async () =>
          (await indexed()) >= before + 3 * prompts.length ? true : undefined,
        );
        let hits = 0;
        for (const [at, prompt] of prompts.entries()) {
          const again = await ask(prompt);
          if (again.worker === first[at]!.worker && again.cached >= 3 * blockSize) hits++;
        }
        return hits === prompts.length ? true : undefined; // without an index one time in 4 096
      });
    });

    if (index === "own") return;

    it("goes on by load when the index is gone", async () => {
      await system.indexer![Symbol.asyncDispose]();
      const answers = await Promise.all(Array.from({ length: 6 }, () => ask(uniquePrompt())));
      expect(new Set(answers.map(({ worker }) => worker)).size).toBe(2);
    });
  });
}
