// What ranks probably hold, from what was sent to them: an index without events.
//
//   routed(rank, blocks) ──▶ held by that rank for `ttlMs`, from its last use on          findMatches: leading blocks not yet run out
//
// Where it stands in (kv.md §8.6): no events at all (`use_kv_events = false`), nobody who answers for the index, or beside the index for
// the moment between a decision and the first event about it (`router_predicted_ttl_secs`).
// I1  A rank's blocks lie in the order in which they run out; of one prompt the deepest first, so that no hole comes from forgetting.
// I2  More than `entriesMax` are cut back to `pruneTarget` of it, those first that run out first.
import type { WorkerKey } from "@mm-router/protocol";
import type { OverlapScore, OverlapScores } from "./overlap.ts";
import { RankMap } from "./rank-map.ts";

export interface ApproximateIndexOptions {
  readonly ttlMs: number;
  /** ms; never goes back. */
  readonly now: () => number;
  /** Blocks, one per rank; default 2^20, as upstream's `router_max_tree_size`. */
  readonly entriesMax?: number;
  /** Share of `entriesMax` that is left when it is exceeded; default 0.8. */
  readonly pruneTarget?: number;
}

interface RankBlocks {
  readonly worker: WorkerKey;
  /** Sequence hash → when it runs out, ms. */
  readonly blocks: Map<bigint, number>;
}

const entriesMaxDefault = 2 ** 20;
const pruneTargetDefault = 0.8;

export class ApproximateIndex {
  private readonly options: ApproximateIndexOptions;
  private readonly ranks = new RankMap<RankBlocks>();
  private entries = 0;
  private sweepAt = Number.NEGATIVE_INFINITY;

  constructor(options: ApproximateIndexOptions) {
    this.options = options;
  }

  /** A request with these blocks was sent to a rank. @param hashes sequence hashes of its full blocks */
  routed(worker: WorkerKey, hashes: BigUint64Array): void {
    const now = this.options.now();
    if (now >= this.sweepAt) this.sweep(now);
    const { blocks } = this.rankOf(worker);
    const before = blocks.size;
    for (let at = hashes.length - 1; at >= 0; at--) {
      blocks.delete(hashes[at]!); // so that it moves to the end (I1)
      blocks.set(hashes[at]!, now + this.options.ttlMs);
    }
    this.entries += blocks.size - before;
    if (this.entries > (this.options.entriesMax ?? entriesMaxDefault)) this.prune();
  }

  /** @param hashes sequence hashes of a request, first block first */
  findMatches(hashes: BigUint64Array): OverlapScores {
    const now = this.options.now();
    return Array.from(this.ranks.values(), ({ worker, blocks }): OverlapScore => ({ worker, blocks: leading(blocks, hashes, now) })).filter(
      (score) => score.blocks > 0,
    );
  }

  /** Blocks, one per rank; what ran out may still count. */
  get size(): number {
    return this.entries;
  }

  private rankOf(worker: WorkerKey): RankBlocks {
    const known = this.ranks.get(worker);
    if (known !== undefined) return known;
    const rank = { worker, blocks: new Map<bigint, number>() };
    this.ranks.set(worker, rank);
    return rank;
  }

  /** Once per lifetime of a block: also ranks that nothing is sent to any more must not stay. */
  private sweep(now: number): void {
    this.sweepAt = now + this.options.ttlMs;
    for (const { worker, blocks } of [...this.ranks.values()]) {
      for (const [hash, runsOut] of blocks) {
        if (runsOut > now) break;
        blocks.delete(hash);
        this.entries--;
      }
      if (blocks.size === 0) this.ranks.delete(worker);
    }
  }

  private prune(): void {
    const { entriesMax = entriesMaxDefault, pruneTarget = pruneTargetDefault } = this.options;
    const ends = Float64Array.from(Array.from(this.ranks.values(), ({ blocks }) => [...blocks.values()]).flat()).sort();
    let surplus = this.entries - Math.floor(entriesMax * pruneTarget);
    const last = ends[surplus - 1]!;
    for (const { blocks } of this.ranks.values()) {
      for (const [hash, runsOut] of blocks) {
        if (runsOut > last || surplus === 0) break;
        blocks.delete(hash);
        this.entries--;
        surplus--;
      }
    }
  }
}

function leading(blocks: ReadonlyMap<bigint, number>, hashes: BigUint64Array, now: number): number {
  let at = 0;
  while (at < hashes.length && (blocks.get(hashes[at]!) ?? 0) > now) at++;
  return at;
}
