// The prefix index: which rank holds which leading blocks of a request.
//
//   positions   root ── t₁ ── t₂ ── t₃        a tree whose edges are tokens_hashes, shared by all ranks
//                        └─── t₄
//   per rank    engine hash → position        how events address what the rank stored
//
// Contract (kv.md §6.1; all releases agree on it for streams in engine order):
// I1  stored: the parent is looked up among this rank's own blocks; unknown → the whole event is ignored. Then existing positions are
//     reused, missing ones made, and the rank holds each. Idempotent.
// I2  removed: the rank no longer holds the block; unknown hashes are reported, the others removed all the same.
// I3  cleared: the rank, or all ranks of the worker (≤ 1.2), hold nothing.
// I4  A position that no rank holds any more is forgotten together with its subtree. A rank keeps the engine hashes of what it stored
//     below (they can be parents and be removed), but they count for nothing; stored again, the position is a new one without children.
// I5  findMatches counts leading blocks without a hole; a block below a hole counts again once the hole is filled.
// I6  An engine hash stored again at another position names that one from then on. The rank goes on holding the old one until it is
//     cleared or removed, because no event can name it any more. (No engine does this: a hash stands for a path.)
import type { InstanceId, RouterEvent, WorkerKey } from "@mm-router/protocol";
import type { OverlapScores } from "./overlap.ts";

/**
 * What became of an event. `block_not_found`: at least one removed hash was unknown, the others were removed.
 * `index_full`: the event was ignored because the index would exceed its limit.
 */
export type ApplyOutcome = "applied" | "parent_not_found" | "block_not_found" | "index_full";

/** What `cleared` removes: the rank (≥ 1.4), or all ranks of the worker id (≤ 1.2). */
export type ClearedScope = "rank" | "worker";

export interface IndexSize {
  /** Ranks that have stored something since they were last removed. */
  readonly ranks: number;
  /** Pairs of block and rank. */
  readonly entries: number;
}

export interface KvIndex {
  /** Applies one event; never throws for what is in it. `cleared` removes what `clearedScope` says (default: the rank). */
  apply(event: RouterEvent, clearedScope?: ClearedScope): ApplyOutcome;
  /** @param hashes local block hashes of a request, first block first */
  findMatches(hashes: BigUint64Array): OverlapScores;
  /** Forgets all ranks of a worker. */
  removeWorker(workerId: InstanceId): void;
  /** Forgets one rank. */
  removeRank(worker: WorkerKey): void;
  /** Forgets everything. */
  clear(): void;
  /**
   * `stored` events that make an empty index hold what this one holds, of all ranks or of one, parents first, ids counted from 0 per rank;
   * blocks that count for nothing are left out. The index must not change while the events are drawn.
   */
  dump(worker?: WorkerKey): Iterable<RouterEvent>;
  /** Engine hashes that a rank has, whether they count or not. */
  entriesOf(worker: WorkerKey): number;
  readonly size: IndexSize;
}
