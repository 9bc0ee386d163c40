import type { InstanceId, WorkerKey } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ActiveSequences } from "./active-sequences.ts";

const rank = (id: number): WorkerKey => ({ workerId: BigInt(id) as InstanceId, dpRank: 0 });
const blocks = (...hashes: bigint[]) => BigUint64Array.from(hashes);

describe("ActiveSequences", () => {
  it("counts tokens, distinct blocks and requests until they are freed", () => {
    const active = new ActiveSequences(1000);
    const [first, second] = [1, 2];
    active.add(first, rank(1), blocks(1n, 2n, 3n), 12, 0);
    active.add(second, rank(1), blocks(1n, 2n, 4n), 5, 0);
    expect(active.load(rank(1))).toEqual({ activePrefillTokens: 17, activeDecodeBlocks: 4, activeRequests: 2 });
    active.markPrefillCompleted(first);
    expect(active.load(rank(1)).activePrefillTokens).toBe(5);
    active.free(first);
    expect(active.load(rank(1))).toEqual({ activePrefillTokens: 5, activeDecodeBlocks: 3, activeRequests: 1 });
    active.free(second);
    expect(active.load(rank(1))).toEqual({ activePrefillTokens: 0, activeDecodeBlocks: 0, activeRequests: 0 });
  });

  it("counts no block of a request shorter than a block", () => {
    const active = new ActiveSequences(1000);
    active.add(1, rank(1), blocks(), 9, 0);
    expect(active.load(rank(1))).toEqual({ activePrefillTokens: 9, activeDecodeBlocks: 0, activeRequests: 1 });
  });

  it("tells per rank how many blocks of a request are new", () => {
    const active = new ActiveSequences(1000);
    active.add(1, rank(1), blocks(1n, 2n), 0, 0);
    active.add(2, rank(2), blocks(2n), 0, 0);
    const newBlocks = active.newBlocks(blocks(1n, 2n, 3n));
    expect([1, 2, 3].map((id) => newBlocks(rank(id)))).toEqual([1, 2, 3]);
  });

  it("frees a request once, however often and in whatever order its end is told", () => {
    const active = new ActiveSequences(1000);
    const gone = 1;
    active.add(gone, rank(1), blocks(1n), 4, 0);
    active.add(2, rank(1), blocks(1n), 6, 0);
    for (let i = 0; i < 3; i++) active.free(gone);
    active.markPrefillCompleted(gone);
    expect(active.load(rank(1))).toEqual({ activePrefillTokens: 6, activeDecodeBlocks: 1, activeRequests: 1 });
  });

  it("counts blocks of answers, and a request's own blocks less towards its end", () => {
    const active = new ActiveSequences(1000);
    active.add(1, rank(1), blocks(1n, 2n, 3n, 4n), 0, 0);
    active.add(2, rank(1), blocks(1n, 2n), 0, 0);
    const decodeBlocks = () => active.load(rank(1)).activeDecodeBlocks;
    active.grow(1, 1);
    active.grow(1, 1);
    expect(decodeBlocks()).toBe(6);
    active.grow(1, 0.5); // 3, 4 and the first two of the answer count half
    expect(decodeBlocks()).toBe(5);
    active.grow(1, 0); // and nothing, as the third
    expect(decodeBlocks()).toBe(3);
    active.free(1);
    expect(decodeBlocks()).toBe(2);
    active.grow(1, 1);
    active.free(2);
    expect(decodeBlocks()).toBe(0);
  });

  it("drops requests that nobody freed when their time is over", () => {
    const active = new ActiveSequences(1000);
    const late = 2;
    active.add(1, rank(1), blocks(1n), 4, 0);
    active.add(late, rank(1), blocks(2n), 4, 600);
    expect(active.expire(999)).toBe(0);
    expect(active.expire(1000)).toBe(1);
    expect(active.load(rank(1)).activeRequests).toBe(1);
    active.free(late);
    expect(active.size).toBe(0);
  });

  it("always holds the sum of what is running", () => {
    const step = fc.oneof(
      fc.record({ add: fc.record({ rank: fc.integer({ min: 1, max: 3 }), hashes: fc.array(fc.bigInt(1n, 8n)), tokens: fc.nat(50) }) }),
      fc.record({ prefilled: fc.nat(30) }),
      fc.record({ free: fc.nat(30) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const active = new ActiveSequences(1000);
        const running = new Map<number, { rank: number; hashes: bigint[]; tokens: number }>();
        const ids: number[] = [];
        for (const each of steps) {
          if ("add" in each) {
            const id = ids.length;
            active.add(id, rank(each.add.rank), blocks(...each.add.hashes), each.add.tokens, 0);
            ids.push(id);
            running.set(id, { ...each.add });
          } else if ("prefilled" in each) {
            const id = ids[each.prefilled];
            if (id !== undefined) active.markPrefillCompleted(id);
            const request = running.get(id ?? -1);
            if (request) request.tokens = 0;
          } else {
            const id = ids[each.free];
            if (id !== undefined) active.free(id);
            running.delete(id ?? -1);
          }
        }
        for (const id of [1, 2, 3]) {
          const here = [...running.values()].filter((request) => request.rank === id);
          expect(active.load(rank(id))).toEqual({
            activePrefillTokens: here.reduce((sum, { tokens }) => sum + tokens, 0),
            activeDecodeBlocks: new Set(here.flatMap(({ hashes }) => hashes)).size,
            activeRequests: here.length,
          });
        }
      }),
    );
  });
});
