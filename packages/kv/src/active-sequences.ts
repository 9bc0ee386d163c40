// What this router has running on each rank: tokens still to be prefilled, blocks in use, requests.
//
//   add ──────► prefillTokens += isl − overlap · block size      blocks: each sequence hash counted by reference
//   prefill done (first tokens came) ──► its prefill tokens leave
//   grow (another block of the answer) ──► one block more, where output blocks are tracked; the request's own blocks fade to its end
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
  /** Distinct active blocks of prompts. */
  blocks: number;
  /** Blocks of answers; each belongs to one request. */
  outputBlocks: number;
  /** What is taken off, since requests are about to end; in blocks. */
  discount: number;
  requests: number;
}

interface Sequence {
  readonly rank: Rank;
  readonly hashes: BigUint64Array;
  readonly prefillTokens: number;
  isPrefilled: boolean;
  outputBlocks: number;
  discount: number;
  readonly expiresAt: number;
}

/** How often a rank uses a block. A list, since nearly every block has one user and a Map for each costs more than all the rest here. */
interface Use {
  readonly rank: Rank;
  count: number;
  next: Use | undefined;
}

const idle: RankLoad = { activePrefillTokens: 0, activeDecodeBlocks: 0, activeRequests: 0 };

export class ActiveSequences {
  private readonly ranks = new RankMap<Rank>();
  private readonly sequences = new Map<SequenceId, Sequence>();
  /** Who uses a block. */
  private readonly uses = new Map<bigint, Use>();
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
    if (rank === undefined)
      this.ranks.set(worker, (rank = { worker, prefillTokens: 0, blocks: 0, outputBlocks: 0, discount: 0, requests: 0 }));
    rank.requests++;
    rank.prefillTokens += prefillTokens;
    for (const hash of hashes) this.use(rank, hash);
    this.sequences.set(id, {
      rank,
      hashes,
      prefillTokens,
      isPrefilled: false,
      outputBlocks: 0,
      discount: 0,
      expiresAt: now + this.expiryMs,
    });
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

  /**
   * The request's answer begins another block.
   *
   * @param weight  what its earlier blocks still count, those that no other request uses: 1 … 0 towards its expected end
   */
  grow(id: SequenceId, weight: number): void {
    const sequence = this.sequences.get(id);
    if (sequence === undefined) return;
    const { rank, outputBlocks, discount } = sequence;
    sequence.discount = (1 - weight) * (outputBlocks + (weight < 1 ? this.ownBlocks(sequence) : 0));
    rank.discount += sequence.discount - discount;
    sequence.outputBlocks++;
    rank.outputBlocks++;
  }

  /** The request's stream ended; false when it does not count any more. */
  free(id: SequenceId): boolean {
    const sequence = this.sequences.get(id);
    if (sequence === undefined) return false;
    this.markPrefillCompleted(id);
    this.sequences.delete(id);
    const { rank, hashes } = sequence;
    rank.outputBlocks -= sequence.outputBlocks;
    rank.discount -= sequence.discount;
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
    const activeDecodeBlocks = Math.max(0, Math.round(rank.blocks + rank.outputBlocks - rank.discount));
    return { activePrefillTokens: rank.prefillTokens, activeDecodeBlocks, activeRequests: rank.requests };
  }

  /** How many of a request's blocks are not active on a rank yet. @param hashes sequence hashes, so no two are alike */
  newBlocks(hashes: BigUint64Array): (worker: WorkerKey) => number {
    const shared = new Map<Rank | undefined, number>();
    for (const hash of hashes) {
      for (let use = this.uses.get(hash); use !== undefined; use = use.next) shared.set(use.rank, (shared.get(use.rank) ?? 0) + 1);
    }
    return (worker) => hashes.length - (shared.get(this.ranks.get(worker)) ?? 0);
  }

  /** Requests that count now. */
  get size(): number {
    return this.sequences.size;
  }

  /** Blocks of a prompt that no other request on its rank uses. */
  private ownBlocks({ rank, hashes }: Sequence): number {
    let own = 0;
    for (const hash of hashes) if (useBy(rank, this.uses.get(hash))?.count === 1) own++;
    return own;
  }

  private use(rank: Rank, hash: bigint): void {
    const first = this.uses.get(hash);
    const own = useBy(rank, first);
    if (own !== undefined) {
      own.count++;
      return;
    }
    this.uses.set(hash, { rank, count: 1, next: first });
    rank.blocks++;
  }

  private unuse(rank: Rank, hash: bigint): void {
    const first = this.uses.get(hash)!;
    const own = useBy(rank, first)!;
    if (--own.count > 0) return;
    rank.blocks--;
    if (own !== first) unlink(own, first);
    else if (own.next === undefined) this.uses.delete(hash);
    else this.uses.set(hash, own.next);
  }
}

function useBy(rank: Rank, first: Use | undefined): Use | undefined {
  let use = first;
  while (use !== undefined && use.rank !== rank) use = use.next;
  return use;
}

function unlink(gone: Use, first: Use): void {
  let before = first;
  while (before.next !== gone) before = before.next!; // it is in this list
  before.next = gone.next;
}
