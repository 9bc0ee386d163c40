// Random histories of an index, for comparing two of them.
import type { InstanceId, RouterEvent } from "@mm-router/protocol";
import fc from "fast-check";
import type { ClearedScope, KvIndex } from "./kv-index.ts";
import { event, removed, stored } from "./kv-events.suite.ts";

export type HistoryStep =
  | { readonly event: RouterEvent; readonly scope: ClearedScope }
  | { readonly removeWorker: bigint }
  | { readonly find: readonly bigint[] };

const worker = fc.bigInt(1n, 3n);
const at = fc.record({ worker, rank: fc.nat(1) });
// Few hashes, so that histories meet: the same block below several parents, hashes that name several blocks, paths that branch.
const engineHash = fc.bigInt(1n, 40n);
const tokensHash = fc.bigInt(1n, 4n);

/** Anything goes: unknown parents, repeated and moved hashes, removals from within. */
export const dirtyStep: fc.Arbitrary<HistoryStep> = fc.oneof(
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
export const cleanHistory: fc.Arbitrary<HistoryStep[]> = fc
  .array(fc.tuple(at, fc.array(tokensHash, { minLength: 1, maxLength: 70 }), fc.nat(3), fc.nat(80)), { maxLength: 40 })
  .map((moves) => {
    const held = new Map<string, Set<string>>();
    return moves.flatMap(([rank, path, kind, cut]): HistoryStep[] => {
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

function restOf(rank: { worker: bigint; rank: number }, blocks: readonly (readonly [bigint, bigint])[]): HistoryStep[] {
  return blocks.length > 35 ? [{ event: stored(rank, blocks[34]![0], blocks.slice(35)), scope: "rank" }] : [];
}

/** Paths of digits 1 … 4, read as a number in base 5, so different paths have different hashes (70 digits need 163 bits: the low 64 mixed). */
function hashOfPath(path: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const digit of path) hash = BigInt.asUintN(64, (hash ^ BigInt(digit)) * 0x100000001b3n);
  return hash;
}

export function run(index: KvIndex, step: HistoryStep): unknown {
  if ("event" in step) return index.apply(step.event, step.scope);
  if ("removeWorker" in step) return index.removeWorker(step.removeWorker as InstanceId);
  return scoresOf(index, step.find);
}

export function scoresOf(index: KvIndex, hashes: readonly bigint[]): string[] {
  return index
    .findMatches(BigUint64Array.from(hashes))
    .map(({ worker, blocks }) => `${worker.workerId}:${worker.dpRank}=${blocks}`)
    .sort();
}
