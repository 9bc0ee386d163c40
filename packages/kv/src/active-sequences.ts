// What this router has running on each rank: tokens still to be prefilled, blocks in use, requests.
//
//   add ──────► prefillTokens += isl − overlap · block size      blocks: each sequence hash counted by reference
//   prefill done (first tokens came) ──► its prefill tokens leave
//   free (the stream ended) ──► its blocks leave, and the prefill tokens if they are still counted
//
// Booked when a rank is chosen, before the request is sent, so that two requests in one moment do not take the same rank for idle.
// I1  A request is freed once; later calls, and calls after it expired, do nothing.
// I2  A rank without requests has no state.
// Source: kv.md §7; leaked requests expire after 300 s, as in 1.4 and later.
import type { WorkerKey } from "@mm-router/protocol";
import { RankMap } from "./rank-map.ts";
import type { RankLoad } from "./worker-cost.ts";

/** Names one booked request: a number for those of this router, text for those that other routers told of. */
export type SequenceId = number | string;

interface Rank {
  readonly worker: WorkerKey;
  prefillTokens: number;
  /** Distinct active blocks. */
  blocks: number;
  requests: number;
}

interface Sequence {
  readonly rank: Rank;
  readonly hashes: BigUint64Array;
  readonly prefillTokens: number;
  isPrefilled: boolean;
  readonly expiresAt: number;
}

const idle: RankLoad = { activePrefillTokens: 0, activeDecodeBlocks: 0, activeRequests: 0 };

export class ActiveSequences {
  private readonly ranks = new RankMap<Rank>();
  private readonly sequences = new Map<SequenceId, Sequence>();
  /** Who uses a block, and how often. */
  private readonly users = new Map<bigint, Map<Rank, number>>();
  private readonly expiryMs: number;

  /** @param expiryMs how long a request counts that nobody frees */
  constructor(expiryMs: number) {
    this.expiryMs = expiryMs;
  }

  /**
   * Counts a request on a rank.
   *
   * @param id             names no request that counts now
   * @param hashes         sequence hashes of its full blocks
   * @param prefillTokens  tokens to be prefilled: routing tokens minus what the rank already holds
   * @param now            ms; never goes back
   */
  add(id: SequenceId, worker: WorkerKey, hashes: BigUint64Array, prefillTokens: number, now: number): void {
    let rank = this.ranks.get(worker);
    if (rank === undefined) this.ranks.set(worker, (rank = { worker, prefillTokens: 0, blocks: 0, requests: 0 }));
    rank.requests++;
    rank.prefillTokens += prefillTokens;
    for (const hash of hashes) this.use(rank, hash);
    this.sequences.set(id, { rank, hashes, prefillTokens, isPrefilled: false, expiresAt: now + this.expiryMs });
  }

  has(id: SequenceId): boolean {
    return this.sequences.has(id);
  }

  /** The request's first tokens came; false when that was known, or the request is not. */
  markPrefillCompleted(id: SequenceId): boolean {
    const sequence = this.sequences.get(id);
    if (sequence === undefined || sequence.isPrefilled) return false;
    sequence.isPrefilled = true;
    sequence.rank.prefillTokens -= sequence.prefillTokens;
    return true;
  }

  /** The request's stream ended; false when it does not count any more. */
  free(id: SequenceId): boolean {
    const sequence = this.sequences.get(id);
    if (sequence === undefined) return false;
    this.markPrefillCompleted(id);
    this.sequences.delete(id);
    const { rank, hashes } = sequence;
    for (const hash of hashes) this.unuse(rank, hash);
    if (--rank.requests === 0) this.ranks.delete(rank.worker);
    return true;
  }

  /** Frees what nobody freed in time; returns how many. */
  expire(now: number): number {
    let expired = 0;
    for (const [id, { expiresAt }] of this.sequences) {
      if (expiresAt > now) break; // all live equally long, so the oldest come first
      this.free(id);
      expired++;
    }
    return expired;
  }

  /** Frees all of some. */
  freeThose(isOne: (id: SequenceId) => boolean): void {
    for (const id of this.sequences.keys()) if (isOne(id)) this.free(id);
  }

  load(worker: WorkerKey): RankLoad {
    const rank = this.ranks.get(worker);
    if (rank === undefined) return idle;
    return { activePrefillTokens: rank.prefillTokens, activeDecodeBlocks: rank.blocks, activeRequests: rank.requests };
  }

  /** How many of a request's blocks are not active on a rank yet. @param hashes sequence hashes, so no two are alike */
  newBlocks(hashes: BigUint64Array): (worker: WorkerKey) => number {
    const shared = new Map<Rank | undefined, number>();
    for (const hash of hashes) {
      for (const rank of this.users.get(hash)?.keys() ?? []) shared.set(rank, (shared.get(rank) ?? 0) + 1);
    }
    return (worker) => hashes.length - (shared.get(this.ranks.get(worker)) ?? 0);
  }

  /** Requests that count now. */
  get size(): number {
    return this.sequences.size;
  }

  private use(rank: Rank, hash: bigint): void {
    const users = this.users.get(hash);
    const count = users?.get(rank) ?? 0;
    if (users === undefined) this.users.set(hash, new Map([[rank, 1]]));
    else users.set(rank, count + 1);
    if (count === 0) rank.blocks++;
  }

  private unuse(rank: Rank, hash: bigint): void {
    const users = this.users.get(hash)!;
    const count = users.get(rank)!;
    if (count > 1) {
      users.set(rank, count - 1);
      return;
    }
    rank.blocks--;
    users.delete(rank);
    if (users.size === 0) this.users.delete(hash);
  }
}
