import type { InstanceId } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cleanHistory, dirtyStep, type HistoryStep, run, scoresOf } from "./kv-histories.suite.ts";
import { removed, stored } from "./kv-events.suite.ts";
import { kvIndexSuite } from "./kv-index.suite.ts";
import { NaiveIndex } from "./naive-index.ts";
import { RadixTree } from "./radix-tree.ts";

describe("RadixTree", () => kvIndexSuite(() => new RadixTree()));

function expectSame(steps: readonly HistoryStep[]): RadixTree {
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

/** Ranks by the path of tokens hashes that they hold. */
function holdersByPath(index: NaiveIndex): Map<string, Set<string>> {
  const holders = new Map<string, Set<string>>();
  const paths = new Map<string, string>();
  for (const { worker_id, event } of index.dump()) {
    const rank = `${worker_id}/${event.dp_rank}`;
    const { data } = event;
    if (data === "cleared" || !("stored" in data)) continue;
    let path = data.stored.parent_hash === null ? "" : paths.get(`${rank} ${data.stored.parent_hash}`)!;
    for (const { tokens_hash, block_hash } of data.stored.blocks) {
      path += ` ${tokens_hash}`;
      paths.set(`${rank} ${block_hash}`, path);
      holders.set(path, (holders.get(path) ?? new Set()).add(rank));
    }
  }
  return holders;
}

describe("RadixTree against the naive index", () => {
  it("counts how many ranks hold the same block as a count of the dumped blocks does", () => {
    fc.assert(
      fc.property(cleanHistory, (steps) => {
        const naive = new NaiveIndex();
        const radix = new RadixTree();
        for (const step of steps) {
          run(naive, step);
          run(radix, step);
        }
        const holders = holdersByPath(naive);
        const { byHolders, sharedBy } = radix.sharing();
        for (const count of [1, 2, 3, 4])
          expect(byHolders[count - 1] ?? 0).toBe([...holders.values()].filter((ranks) => ranks.size === count).length);
        for (const rank of new Set([...holders.values()].flatMap((ranks) => [...ranks]))) {
          const [id, dpRank] = rank.split("/") as [string, string];
          const shared = [...holders.values()].filter((ranks) => ranks.size > 1 && ranks.has(rank)).length;
          expect(sharedBy({ workerId: BigInt(id) as InstanceId, dpRank: Number(dpRank) })).toBe(shared);
        }
      }),
      { numRuns: 300 },
    );
  });

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
