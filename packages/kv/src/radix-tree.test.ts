import type { InstanceId, RouterEvent } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ClearedScope, KvIndex } from "./kv-index.ts";
import { event, kvIndexSuite, removed, stored } from "./kv-index.suite.ts";
import { NaiveIndex } from "./naive-index.ts";
import { RadixTree } from "./radix-tree.ts";

describe("RadixTree", () => kvIndexSuite(() => new RadixTree()));

type Step =
  | { readonly event: RouterEvent; readonly scope: ClearedScope }
  | { readonly removeWorker: bigint }
  | { readonly find: readonly bigint[] };

const worker = fc.bigInt(1n, 3n);
const at = fc.record({ worker, rank: fc.nat(1) });
// Few hashes, so that histories meet: the same block below several parents, hashes that name several blocks, paths that branch.
const engineHash = fc.bigInt(1n, 40n);
const tokensHash = fc.bigInt(1n, 4n);

/** Anything goes: unknown parents, repeated and moved hashes, removals from within. */
const dirtyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(at, fc.option(engineHash), fc.array(fc.tuple(engineHash, tokensHash), { maxLength: 40 }))
      .map(([rank, parent, blocks]) => ({ event: stored(rank, parent, blocks), scope: "rank" as const })),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(at, fc.array(engineHash, { maxLength: 6 }))
      .map(([rank, hashes]) => ({ event: removed(rank, hashes), scope: "rank" as const })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(at, fc.constantFrom<ClearedScope>("rank", "worker"))
      .map(([rank, scope]) => ({ event: event(rank, "cleared"), scope })),
  },
  { weight: 1, arbitrary: worker.map((id) => ({ removeWorker: id })) },
  { weight: 4, arbitrary: fc.array(tokensHash, { maxLength: 40 }).map((find) => ({ find })) },
);

/** An engine's order: a hash stands for its path, parents come first, leaves go first. */
const cleanHistory: fc.Arbitrary<Step[]> = fc
  .array(fc.tuple(at, fc.array(tokensHash, { minLength: 1, maxLength: 70 }), fc.nat(3), fc.nat(80)), { maxLength: 40 })
  .map((moves) => {
    const held = new Map<string, Set<string>>();
    return moves.flatMap(([rank, path, kind, cut]): Step[] => {
      const key = `${rank.worker}:${rank.rank}`;
      const paths = held.get(key) ?? new Set<string>();
      held.set(key, paths);
      const prefixes = path.map((_, depth) => path.slice(0, depth + 1).join(""));
      if (kind === 0) return [{ find: path }];
      if (kind === 1) {
        const leaves = [...paths].filter((path) => ![...paths].some((other) => other.length === path.length + 1 && other.startsWith(path)));
        const gone = leaves.slice(0, 1 + (cut % 4));
        for (const leaf of gone) paths.delete(leaf);
        return [{ event: removed(rank, gone.map(hashOfPath)), scope: "rank" }];
      }
      const known = prefixes.findIndex((prefix) => !paths.has(prefix));
      const from = known === -1 ? prefixes.length : known;
      const blocks = prefixes.slice(from).map((prefix, index) => [hashOfPath(prefix), path[from + index]!] as const);
      for (const prefix of prefixes) paths.add(prefix);
      const parent = from === 0 ? null : hashOfPath(prefixes[from - 1]!);
      return [{ event: stored(rank, parent, blocks.slice(0, 35)), scope: "rank" }, ...restOf(rank, blocks)];
    });
  });

function restOf(rank: { worker: bigint; rank: number }, blocks: readonly (readonly [bigint, bigint])[]): Step[] {
  return blocks.length > 35 ? [{ event: stored(rank, blocks[34]![0], blocks.slice(35)), scope: "rank" }] : [];
}

/** Paths of digits 1 … 4, read as a number in base 5, so different paths have different hashes (70 digits need 163 bits: the low 64 mixed). */
function hashOfPath(path: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const digit of path) hash = BigInt.asUintN(64, (hash ^ BigInt(digit)) * 0x100000001b3n);
  return hash;
}

function run(index: KvIndex, step: Step): unknown {
  if ("event" in step) return index.apply(step.event, step.scope);
  if ("removeWorker" in step) return index.removeWorker(step.removeWorker as InstanceId);
  return scoresOf(index, step.find);
}

function scoresOf(index: KvIndex, hashes: readonly bigint[]): string[] {
  return index
    .findMatches(BigUint64Array.from(hashes))
    .map(({ worker, blocks }) => `${worker.workerId}:${worker.dpRank}=${blocks}`)
    .sort();
}

function expectSame(steps: readonly Step[]): RadixTree {
  const naive = new NaiveIndex();
  const radix = new RadixTree();
  const queries = steps.flatMap((step) => ("find" in step ? [step.find] : []));
  for (const step of steps) expect(run(radix, step)).toEqual(run(naive, step));
  for (const query of queries) expect(scoresOf(radix, query)).toEqual(scoresOf(naive, query));
  expect(radix.size).toEqual(naive.size);
  expectSameDump(radix, naive, queries);
  return radix;
}

function expectSameDump(radix: RadixTree, naive: NaiveIndex, queries: readonly (readonly bigint[])[]): void {
  const fromRadix = new NaiveIndex();
  const fromNaive = new NaiveIndex();
  for (const each of radix.dump()) expect(fromRadix.apply(each)).toBe("applied");
  for (const each of naive.dump()) fromNaive.apply(each);
  expect(fromRadix.size).toEqual(fromNaive.size);
  for (const query of queries) expect(scoresOf(fromRadix, query)).toEqual(scoresOf(fromNaive, query));
}

describe("RadixTree against the naive index", () => {
  it("answers, reports and dumps the same over random engine histories", () => {
    fc.assert(
      fc.property(cleanHistory, (steps) => void expectSame(steps)),
      { numRuns: 300 },
    );
  });

  it("answers, reports and dumps the same over random dirty histories", () => {
    fc.assert(
      fc.property(fc.array(dirtyStep, { maxLength: 120 }), (steps) => void expectSame(steps)),
      { numRuns: 600 },
    );
  });

  it("takes no more memory however often the same histories come and go", () => {
    fc.assert(
      fc.property(fc.array(dirtyStep, { maxLength: 60 }), (steps) => {
        const radix = new RadixTree();
        const round = () => {
          for (const step of steps) run(radix, step);
          for (const id of [1n, 2n, 3n]) radix.removeWorker(id as InstanceId);
        };
        round();
        const { bytes } = radix;
        for (let i = 0; i < 5; i++) round();
        expect(radix.bytes).toBe(bytes);
        expect(radix.isEmpty).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

it("ignores events beyond its limit and takes them again when there is room", () => {
  const index = new RadixTree({ entriesMax: 3 });
  const rank = { worker: 1n, rank: 0 };
  expect(
    index.apply(
      stored(rank, null, [
        [1n, 1n],
        [2n, 2n],
      ]),
    ),
  ).toBe("applied");
  expect(
    index.apply(
      stored(rank, 2n, [
        [3n, 3n],
        [4n, 4n],
      ]),
    ),
  ).toBe("index_full");
  expect(index.apply(removed(rank, [2n]))).toBe("applied");
  expect(
    index.apply(
      stored(rank, 1n, [
        [3n, 3n],
        [4n, 4n],
      ]),
    ),
  ).toBe("applied");
  expect(scoresOf(index, [1n, 3n, 4n])).toEqual(["1:0=3"]);
});

it("tells ranks apart beyond 32 and 64 of them, and gives a freed place to the next", () => {
  const index = new RadixTree();
  for (let id = 1n; id <= 100n; id++)
    index.apply(stored({ worker: id, rank: 0 }, null, [[id, 7n], ...(id % 2n === 0n ? [[id + 1000n, 8n] as const] : [])]));
  for (let id = 1n; id <= 50n; id++) index.removeWorker(id as InstanceId);
  for (let id = 101n; id <= 130n; id++) index.apply(stored({ worker: id, rank: 0 }, null, [[id, 7n]]));
  const scores = index.findMatches(BigUint64Array.from([7n, 8n]));
  expect(scores.length).toBe(80);
  expect(scores.every(({ worker, blocks }) => blocks === (worker.workerId <= 100n && worker.workerId % 2n === 0n ? 2 : 1))).toBe(true);
});
