import type { Decision, RankDecision } from "@mm-router/kv";
import type { MmHash } from "@mm-router/protocol";
import { expect, it } from "vitest";
import { idOf } from "../testing.ts";
import { decisionRecord } from "./decision-record.ts";
import { DecisionRing, type KeptChoice, type KeptDecision } from "./decision-ring.ts";

const kept = (requestId: string, facts: Partial<KeptDecision> = {}): KeptDecision => ({
  requestId,
  receivedAt: 1_700_000_000_000,
  promptTokens: 10,
  images: 0,
  retries: 0,
  ...facts,
});

const rankOf = (n: number, overlapBlocks: number, cost: number): RankDecision => ({
  worker: { workerId: idOf(n), dpRank: 0 },
  overlapBlocks,
  activePrefillTokens: 0,
  activeDecodeBlocks: 0,
  activeRequests: 0,
  newDecodeBlocks: 1,
  cost,
});

/** The first of the ranks is chosen. */
function choiceOf(ranks: readonly RankDecision[], facts: Partial<KeptChoice> = {}): KeptChoice {
  const decision: Decision = { chosen: ranks[0]!, ranks, ties: [ranks[0]!] };
  const prompt = { routingTokens: 400, blocks: 12, imageRanges: [] };
  return { worker: ranks[0]!.worker, decision, availableBlocks: 5, ...prompt, quality: { kind: "exact" }, routingMs: 1.5, ...facts };
}

it("forgets the oldest request for the newest, and takes the same id again as the newest", () => {
  const ring = new DecisionRing(2);
  for (const id of ["a", "b", "a", "c"]) ring.keep(kept(id));
  expect(ring.latest(10).map(({ requestId }) => requestId)).toEqual(["c", "a"]);
  expect(ring.find("b")).toBeUndefined();
});

it("keeps nothing where nothing is to be kept", () => {
  const ring = new DecisionRing(0);
  ring.keep(kept("a"));
  expect(ring.latest(10)).toEqual([]);
});

it("says for each image how many of its blocks the chosen worker held", () => {
  const imageRanges = [
    { start: 10, end: 150, mmHash: 0xaan as MmHash }, // blocks 0 … 4
    { start: 160, end: 290, mmHash: 0xbbn as MmHash }, // blocks 5 … 9
    { start: 300, end: 390, mmHash: 0xccn as MmHash }, // blocks 9 … 11, the last of which is not full
  ];
  const choice = choiceOf([rankOf(1, 7, 5)], { imageRanges });
  const { images } = decisionRecord(kept("a", { images: 4, chosen: choice }), 32);
  expect(images).toEqual([
    { name: "00000000000000aa", tokens: [10, 150], blocks: 5, held_blocks: 5 },
    { name: "00000000000000bb", tokens: [160, 290], blocks: 5, held_blocks: 2 },
    { name: "00000000000000cc", tokens: [300, 390], blocks: 3, held_blocks: 0 },
    { name: null, tokens: null, blocks: 0, held_blocks: 0 },
  ]);
});

it("lists the cheapest ranks of a large fleet, the chosen one always", () => {
  const ranks = Array.from({ length: 100 }, (_, n) => rankOf(n, 0, n === 0 ? 1_000 : n));
  const { candidates, candidates_more, chosen } = decisionRecord(kept("a", { chosen: choiceOf(ranks) }), 32);
  expect(candidates).toHaveLength(32);
  expect(candidates_more).toBe(68);
  expect(candidates.some(({ worker_id }) => worker_id === chosen?.worker_id)).toBe(true);
  expect(candidates[0]?.cost).toBe(1);
});
