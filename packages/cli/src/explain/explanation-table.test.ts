import type { Explanation } from "@mm-router/mm-router";
import { describe, expect, it } from "vitest";
import { type ExplainedChat, explanationTable } from "./explanation-table.ts";

const rank = (worker_id: string, overlap_blocks: number, cost: number): Explanation["candidates"][number] => ({
  worker_id,
  dp_rank: 0,
  overlap_blocks,
  active_prefill_tokens: 0,
  active_decode_blocks: 0,
  new_decode_blocks: 13,
  active_requests: 0,
  cost,
});

const chosen = { worker_id: "8328741188661731594", dp_rank: 0 };
const kind: Explanation["kinds"][number] = {
  workers: ["8328741188661731593", "8328741188661731594"],
  releases: ["1.6"],
  image_dialects: ["pad"],
  routing_tokens: 412,
  blocks: 12,
  block_hashes: [],
  quality: "exact",
  degraded: [],
  names_images: "router",
  refusal: null,
  index: { asked: true, answered: true, took_ms: 1.23, degraded: [] },
};

function tableOf(changes: Partial<Explanation> = {}, chat: Partial<ExplainedChat> = {}): string[] {
  const explanation: Explanation = {
    prompt_tokens: 312,
    images: 1,
    kinds: [kind],
    candidates: [rank("8328741188661731593", 0, 25.875), rank("8328741188661731594", 12, 13.875)],
    choice: chosen,
    decision: { quality: "exact", reason: null },
    ties: [chosen],
    refusal: null,
    ...changes,
  };
  const facts = { model: "m", endpoint: "dyn://ns.mm_router.generate", router: "77", block_size: 32, prompt_characters: 1043 };
  return explanationTable({ ...facts, explanation, ...chat }).split("\n");
}

describe("the table of an explanation", () => {
  it("shows request, knowledge, ranks with the chosen one marked, and the choice", () => {
    expect(tableOf()).toEqual([
      "model    m, dyn://ns.mm_router.generate, router 77",
      "prompt   312 tokens, 1043 characters, 1 image",
      "form     1.6 (2 workers): 412 routing tokens, 12 blocks of 32, exact, images named by the router",
      "index    answered after 1.2 ms",
      "",
      "  worker               rank  overlap  prefill tokens  decode blocks  new blocks  requests   cost",
      "  8328741188661731593     0        0               0              0          13         0  25.88",
      "* 8328741188661731594     0       12               0              0          13         0  13.88",
      "",
      "choice   8328741188661731594 rank 0, exact",
      "",
    ]);
  });

  it("says in words what was not known", () => {
    const missing = [{ reason: "index-late", meaning: "it is overloaded" }];
    const lines = tableOf({
      decision: { quality: "fallback", reason: missing[0]! },
      kinds: [
        {
          ...kind,
          quality: "degraded",
          degraded: [{ reason: "timeout", meaning: "too slow" }],
          index: { asked: true, answered: false, took_ms: 100, degraded: missing },
        },
      ],
    });
    expect(lines.slice(2, 6)).toEqual([
      "form     1.6 (2 workers): 412 routing tokens, 12 blocks of 32, degraded, images named by the router",
      "         timeout: too slow",
      "index    gave no answer after 100.0 ms",
      "         index-late: it is overloaded",
    ]);
    expect(lines.at(-2)).toBe("choice   8328741188661731594 rank 0, fallback (index-late)");
  });

  it("tells ties, refusals and that nobody is there", () => {
    const last = (lines: string[]) => lines.at(-2);
    expect(last(tableOf({ ties: [chosen, { ...chosen, worker_id: "1" }] }))).toBe(
      "choice   8328741188661731594 rank 0, exact, of 2 that cost the same",
    );
    expect(last(tableOf({ refusal: "too long" }))).toBe("choice   8328741188661731594 rank 0, exact, but it would be refused: too long");
    expect(last(tableOf({ candidates: [], choice: null, decision: null, refusal: "no worker serves this model" }))).toBe(
      "choice   none: no worker serves this model",
    );
  });

  it("does not invent a prompt for a client that sent token ids", () => {
    expect(tableOf({}, { prompt_characters: null })[1]).toBe("prompt   312 tokens, given as ids, 1 image");
  });
});
