import { ManualClock, type IndexAnswer } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { idOf } from "../testing.ts";
import { OverlapSource, type OverlapSourceOptions } from "./overlap-source.ts";

const rank = (n: number) => ({ workerId: idOf(n), dpRank: 0 });
const score = (n: number, blocks: number) => ({ worker: rank(n), blocks });
const prompt = BigUint64Array.of(1n, 2n, 3n);
const noAbort = new AbortController().signal;
const missing: IndexAnswer = { scores: [], degraded: "index-missing" };

function sourceOf(options: Partial<OverlapSourceOptions> = {}) {
  const clock = new ManualClock();
  const index: { answer: IndexAnswer; asked: number } = { answer: { scores: [], tookMs: 1 }, asked: 0 };
  const query = () => {
    index.asked++;
    return Promise.resolve(index.answer);
  };
  const limits = { useKvEvents: true, ttlMs: 1_000, entriesMax: 100, pruneTarget: 0.8 };
  const source = new OverlapSource({ ...limits, ...options }, { index: { query }, clock });
  return { source, clock, index, ask: (blocks = prompt) => source.query("m", blocks, noAbort) };
}

describe("OverlapSource", () => {
  it("gives the index's answer as it is while it answers", async () => {
    const { source, index, ask } = sourceOf();
    source.routed(rank(1), prompt);
    index.answer = { scores: [score(2, 2)], tookMs: 3 };
    expect(await ask()).toBe(index.answer);
  });

  it("knows what was sent since the index stopped answering, says why, and forgets it when the index is back", async () => {
    const { source, index, ask } = sourceOf();
    index.answer = missing;
    expect(await ask()).toEqual(missing);
    source.routed(rank(1), prompt.subarray(0, 2));
    expect(await ask()).toEqual({ ...missing, scores: [score(1, 2)] });
    index.answer = { scores: [], tookMs: 1 };
    expect((await ask()).scores).toEqual([]);
    index.answer = missing;
    expect((await ask()).scores).toEqual([]);
  });

  it("asks nobody without events, and believes for the ttl what was sent", async () => {
    const { source, clock, index, ask } = sourceOf({ useKvEvents: false });
    expect(await ask()).toEqual({ scores: [] });
    source.routed(rank(1), prompt);
    source.routed(rank(2), prompt.subarray(0, 1));
    clock.advance(999);
    expect(await ask()).toEqual({ scores: [score(1, 3), score(2, 1)] });
    clock.advance(1);
    expect(await ask()).toEqual({ scores: [] });
    expect(index.asked).toBe(0);
  });

  it("takes per rank the larger of what is told and what was sent a moment ago", async () => {
    const { source, clock, index, ask } = sourceOf({ predictedTtlMs: 100 });
    source.routed(rank(1), prompt);
    source.routed(rank(2), prompt.subarray(0, 1));
    index.answer = { scores: [score(2, 2), score(3, 1)], tookMs: 1 };
    expect(new Set((await ask()).scores)).toEqual(new Set([score(1, 3), score(2, 2), score(3, 1)]));
    clock.advance(100);
    expect((await ask()).scores).toEqual(index.answer.scores);
  });
});
