import type { InstanceId, WorkerKey } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ApproximateIndex } from "./approximate-index.ts";

const rank = (id: number): WorkerKey => ({ workerId: BigInt(id) as InstanceId, dpRank: 0 });
const hashes = (...values: number[]) => BigUint64Array.from(values, BigInt);
const ttlMs = 1_000;

function indexAt(limits: { entriesMax?: number; pruneTarget?: number } = {}) {
  const clock = { ms: 0 };
  const index = new ApproximateIndex({ ttlMs, now: () => clock.ms, ...limits });
  const found = (...values: number[]) =>
    Object.fromEntries(index.findMatches(hashes(...values)).map(({ worker, blocks }) => [Number(worker.workerId), blocks]));
  return { clock, index, found };
}

describe("ApproximateIndex", () => {
  it("finds leading blocks on the ranks that requests with them were sent to", () => {
    const { index, found } = indexAt();
    index.routed(rank(1), hashes(1, 2, 3));
    index.routed(rank(2), hashes(1, 2, 4));
    expect(found(1, 2, 3, 5)).toEqual({ 1: 3, 2: 2 });
    expect(found(9)).toEqual({});
    expect(found()).toEqual({});
  });

  it("forgets blocks when their time is over, counted from their last use", () => {
    const { clock, index, found } = indexAt();
    index.routed(rank(1), hashes(1, 2, 3));
    clock.ms = 600;
    index.routed(rank(1), hashes(1, 2));
    clock.ms = 1_000;
    expect(found(1, 2, 3)).toEqual({ 1: 2 });
    clock.ms = 1_600;
    expect(found(1, 2, 3)).toEqual({});
    index.routed(rank(1), hashes(9));
    expect(index.size).toBe(1);
  });

  it("keeps nothing of a rank that nothing is sent to any more", () => {
    const { clock, index } = indexAt();
    index.routed(rank(1), hashes(1, 2));
    clock.ms = ttlMs;
    index.routed(rank(2), hashes(1));
    expect(index.size).toBe(1);
  });

  it("cuts back to its target when it is full: the oldest first, of one prompt the deepest", () => {
    const { clock, index, found } = indexAt({ entriesMax: 10, pruneTarget: 0.5 });
    index.routed(rank(1), hashes(1, 2, 3, 4));
    clock.ms = 1;
    index.routed(rank(2), hashes(1, 2, 3, 4));
    clock.ms = 2;
    index.routed(rank(1), hashes(21, 22, 23));
    expect(index.size).toBe(5);
    expect([found(1, 2, 3, 4), found(21, 22, 23)]).toEqual([{ 2: 2 }, { 1: 3 }]);
  });

  it("never finds what was not sent, never a hole, and holds no more than it may", () => {
    const move = fc.record({
      rank: fc.integer({ min: 1, max: 3 }),
      path: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 6 }),
      ms: fc.nat(400),
    });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const { clock, index } = indexAt({ entriesMax: 20 });
        const sent = new Map<string, number>();
        for (const { rank: id, path, ms } of moves) {
          clock.ms += ms;
          const sequence = path.map((_, depth) => Number(`${path.slice(0, depth + 1).join("")}`));
          const blocks = hashes(...sequence);
          for (const { worker, blocks: count } of index.findMatches(blocks)) {
            for (const hash of sequence.slice(0, count)) expect(sent.get(`${worker.workerId}:${hash}`)).toBeGreaterThan(clock.ms);
          }
          index.routed(rank(id), blocks);
          for (const hash of sequence) sent.set(`${id}:${hash}`, clock.ms + ttlMs);
          expect(index.size).toBeLessThanOrEqual(20);
        }
      }),
    );
  });
});
