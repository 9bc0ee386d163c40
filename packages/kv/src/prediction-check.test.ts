import type { BlockHash, ExternalHash, StoredBlock } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PredictionCheck } from "./prediction-check.ts";

const predicted = BigUint64Array.of(11n, 12n, 13n, 14n);
const nobody = () => false;

/** Engine hashes are the local ones + 1000, and + 1 per path that shares them. */
const engine = (hash: bigint) => (hash + 1_000n) as ExternalHash;
const block = (hash: bigint): StoredBlock => ({ block_hash: engine(hash), tokens_hash: hash as BlockHash });
const run = (parent: bigint | null, ...hashes: bigint[]) => ({
  parent_hash: parent === null ? null : engine(parent),
  blocks: hashes.map(block),
});

function verdictOf(from: number, runs: ReturnType<typeof run>[], explains: (at: number, hash: bigint) => boolean = nobody) {
  const check = new PredictionCheck(predicted, from);
  for (const each of runs) check.stored(each);
  return check.verdict(explains);
}

describe("PredictionCheck", () => {
  it("is exact once every block was published, in whatever runs", () => {
    expect(verdictOf(0, [run(null, 11n, 12n, 13n, 14n)])).toEqual({ kind: "exact" });
    expect(verdictOf(0, [run(null, 11n), run(11n, 12n, 13n), run(13n, 14n)])).toEqual({ kind: "exact" });
    expect(verdictOf(0, [run(null, 11n, 12n, 13n, 14n, 99n), run(99n, 98n)])).toEqual({ kind: "exact" });
  });

  it("finds its blocks by content behind a parent that was stored before", () => {
    expect(verdictOf(2, [run(12n, 13n, 14n)])).toEqual({ kind: "exact" });
    expect(verdictOf(2, [run(12n, 13n), run(13n, 14n)])).toEqual({ kind: "exact" });
  });

  it.each([
    ["the first", 0, [run(null, 71n, 72n, 73n, 74n)], 0, 71n],
    ["one in the middle", 0, [run(null, 11n, 12n, 73n, 74n)], 2, 73n],
    ["one that comes with a later event", 0, [run(null, 11n, 12n), run(12n, 73n)], 2, 73n],
    ["the first behind what was held", 2, [run(12n, 73n, 74n)], 2, 73n],
  ])("names %s as the block that differs", (_, from, runs, at, published) => {
    expect(verdictOf(from, runs)).toEqual({ kind: "different", block: at, predicted: predicted[at], published });
  });

  it("does not take another request's block for a stranger", () => {
    const runs = [run(null, 11n, 12n), run(12n, 73n)];
    expect(verdictOf(0, runs, (at, hash) => at === 2 && hash === 73n)).toEqual({ kind: "unseen" });
    expect(verdictOf(0, [...runs, run(12n, 13n, 14n)])).toEqual({ kind: "exact" });
  });

  it("says nothing where nothing was published, or only what others generate", () => {
    expect(verdictOf(0, [])).toEqual({ kind: "unseen" });
    expect(verdictOf(0, [run(null, 11n, 12n)])).toEqual({ kind: "unseen" });
    expect(verdictOf(2, [run(500n, 501n)])).toEqual({ kind: "unseen" });
    expect(verdictOf(2, [run(500n, 501n, 502n, 503n, 504n)])).toEqual({ kind: "unseen" });
  });

  it("takes what was published a moment before as published", () => {
    expect(new PredictionCheck(predicted, 2, (hash) => hash === 13n || hash === 14n).isExact).toBe(true);
  });

  it("is exact for every cut of the right blocks into events, and never for a wrong one", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.bigInt(1n, 10_000n), { minLength: 2, maxLength: 40 }),
        fc.nat(39),
        fc.array(fc.nat(40), { maxLength: 6 }),
        fc.nat(39),
        (hashes, heldAt, cutsAt, wrongAt) => {
          const from = heldAt % hashes.length;
          const wrong = from + (wrongAt % (hashes.length - from));
          const play = (path: bigint[]) => {
            const check = new PredictionCheck(BigUint64Array.from(hashes), from);
            const cuts = [...new Set([from, ...cutsAt.map((cut) => from + (cut % (path.length - from))), path.length])].sort(
              (a, b) => a - b,
            );
            for (const [n, start] of cuts.slice(0, -1).entries())
              check.stored(run(path[start - 1] ?? null, ...path.slice(start, cuts[n + 1])));
            return check.verdict(nobody);
          };
          expect(play(hashes)).toEqual({ kind: "exact" });
          const other = hashes.map((hash, at) => (at >= wrong ? hash + 20_000n : hash));
          const verdict = play(other);
          if (wrong > from || from === 0) {
            expect(verdict).toEqual({ kind: "different", block: wrong, predicted: hashes[wrong], published: hashes[wrong]! + 20_000n });
          } else expect(verdict.kind).not.toBe("exact");
        },
      ),
    );
  });
});
