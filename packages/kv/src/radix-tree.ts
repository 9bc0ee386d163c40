// The production index: the contract of kv-index.ts on typed arrays.
//
//   ranks     worker id, dp rank ─→ number, engine hashes        rank-map.ts
//   blocks    who holds which position under which hash          radix/holdings.ts
//
// Per (block, rank): 15–24 bytes in the rank's table and the rank's share of a 12-byte position, however many ranks there are.
// A lookup reads a path in order and does work only where the holders change. Measured in bench/kv.
import {
  AppError,
  type ExternalHash,
  type InstanceId,
  type RemovedBlocks,
  type RouterEvent,
  type StoredBlock,
  type StoredBlocks,
  type WorkerKey,
} from "@mm-router/protocol";
import type { ApplyOutcome, ClearedScope, IndexSize, KvIndex } from "./kv-index.ts";
import type { OverlapScore, OverlapScores } from "./overlap.ts";
import { dumpRank, type NamedPosition } from "./radix/dump-rank.ts";
import { EngineHashes } from "./radix/engine-hashes.ts";
import { split, splitHigh, splitLow } from "./radix/hash-bits.ts";
import { Holdings, nowhere, type RankBlocks } from "./radix/holdings.ts";
import { root } from "./radix/position-tree.ts";
import { RankImage, sliceNodesDefault } from "./radix/rank-image.ts";
import { RankRestorer } from "./radix/rank-restorer.ts";
import { RankMap } from "./rank-map.ts";

interface Rank extends RankBlocks {
  readonly worker: WorkerKey;
}

export interface IndexRestore {
  /**
   * @param entries  how many it held, or about so
   * @throws AppError `protocol_error` when the rank holds something, `overloaded` when the index is too small
   */
  rank(worker: WorkerKey, entries?: number): Pick<RankRestorer, "take">;
  done(): void;
}

export interface CacheSharing {
  /** Blocks that one rank holds, that two hold, … */
  readonly byHolders: readonly number[];
  /** Of a rank's blocks: those that another one holds, too. */
  readonly sharedBy: (worker: WorkerKey) => number;
}

export interface RadixTreeOptions {
  /** Pairs of block and rank; an event that would exceed it is ignored. Default 2^26: about 2.5 GB. */
  readonly entriesMax?: number;
}

const entriesMaxDefault = 2 ** 26;

export class RadixTree implements KvIndex {
  private blocks = new Holdings();
  private readonly ranks = new RankMap<Rank>();
  private readonly byIndex: (Rank | undefined)[] = [];
  private readonly freeIndexes: number[] = [];
  private readonly entriesMax: number;

  constructor(options: RadixTreeOptions = {}) {
    this.entriesMax = options.entriesMax ?? entriesMaxDefault;
  }

  apply({ worker_id, event }: RouterEvent, clearedScope: ClearedScope = "rank"): ApplyOutcome {
    const { data } = event;
    if (data === "cleared") {
      if (clearedScope === "worker") this.removeWorker(worker_id);
      else this.removeRank({ workerId: worker_id, dpRank: event.dp_rank });
      return "applied";
    }
    const rank = this.ranks.find(worker_id, event.dp_rank);
    if (!("stored" in data)) return this.remove(rank, data.removed);
    return this.store(rank, rank?.worker ?? { workerId: worker_id, dpRank: event.dp_rank }, data.stored);
  }

  findMatches(hashes: BigUint64Array): OverlapScores {
    const { byIndex } = this;
    const { tree, sets } = this.blocks;
    const scores: OverlapScore[] = [];
    const alive = new Uint32Array(sets.words);
    const keep = (word: number, now: number, blocks: number) => {
      for (let dropped = alive[word]! & ~now; dropped !== 0; dropped &= dropped - 1) {
        scores.push({ worker: byIndex[32 * word + 31 - Math.clz32(dropped & -dropped)]!.worker, blocks });
      }
      alive[word] = now;
    };
    const narrow = (holders: number, depth: number): boolean => {
      let some = 0;
      for (let word = 0; word < alive.length; word++) {
        const bits = sets.bits[holders * alive.length + word]!;
        const now = depth === 0 ? bits : (alive[word]! & bits) >>> 0;
        if (depth > 0 && now !== alive[word]) keep(word, now, depth);
        else alive[word] = now;
        some |= now;
      }
      return some !== 0;
    };
    const depth = tree.walk(new Int32Array(hashes.buffer, hashes.byteOffset, 2 * hashes.length), narrow);
    for (let word = 0; word < alive.length; word++) keep(word, 0, depth);
    return scores;
  }

  removeWorker(workerId: InstanceId): void {
    for (const rank of this.ranks.ofWorker(workerId)) this.removeRank(rank.worker);
  }

  removeRank(worker: WorkerKey): void {
    const rank = this.ranks.get(worker);
    if (rank === undefined) return;
    this.blocks.removeAll(rank);
    this.ranks.delete(worker);
    this.freeIndex(rank.index);
  }

  clear(): void {
    this.blocks = new Holdings();
    this.ranks.clear();
    this.byIndex.length = 0;
    this.freeIndexes.length = 0;
  }

  *dump(worker?: WorkerKey): Iterable<RouterEvent> {
    const { tree } = this.blocks;
    const order = tree.pathOrder();
    const ranks = worker === undefined ? this.byIndex : [this.ranks.get(worker)];
    for (const rank of ranks) if (rank !== undefined) yield* dumpRank(rank.worker, this.namesInOrder(rank, order), tree);
  }

  /**
   * A rank's blocks, as `restore` takes them back, in slices of about two milliseconds. Between two the index may change; a rank that is
   * removed or cleared meanwhile has no further slices. See radix/rank-image.ts.
   */
  *imageOf(worker: WorkerKey, sliceNodes = sliceNodesDefault): Iterable<Uint32Array> {
    const rank = this.ranks.get(worker);
    if (rank === undefined) return;
    for (const slice of new RankImage(this.blocks, rank, sliceNodes).slices()) {
      yield slice;
      if (this.ranks.get(worker) !== rank) return;
    }
  }

  /** Takes images of ranks that hold nothing yet. The index is not to be asked or changed otherwise before `done`. */
  restore(): IndexRestore {
    const scaffold = this.newBlocks();
    this.byIndex[scaffold.index] = undefined;
    return {
      rank: (worker, entries = 0) => {
        if (this.ranks.get(worker) !== undefined) throw new AppError("protocol_error", "a rank has one image");
        if (!this.hasRoomFor(entries)) throw new AppError("overloaded", "the index is too small for its snapshot");
        return new RankRestorer(this.blocks, this.addRank(worker, entries), scaffold, this.entriesMax);
      },
      done: () => {
        this.blocks.removeAll(scaffold);
        this.freeIndex(scaffold.index);
      },
    };
  }

  entriesOf(worker: WorkerKey): number {
    return this.ranks.get(worker)?.hashes.size ?? 0;
  }

  /** Who holds the same blocks. Read from the sets of ranks, of which there are few, not from the blocks. */
  sharing(): CacheSharing {
    const byHolders: number[] = [];
    const shared = new RankMap<number>();
    for (const { ranks, references } of this.blocks.sets.counted()) {
      byHolders[ranks.length - 1] = (byHolders[ranks.length - 1] ?? 0) + references;
      if (ranks.length === 1) continue;
      for (const index of ranks) {
        const { worker } = this.byIndex[index]!;
        shared.set(worker, (shared.get(worker) ?? 0) + references);
      }
    }
    return { byHolders: Array.from(byHolders, (blocks) => blocks ?? 0), sharedBy: (worker) => shared.get(worker) ?? 0 };
  }

  get size(): IndexSize {
    return { ranks: this.byIndex.length - this.freeIndexes.length, entries: this.blocks.entries };
  }

  /** Whether nothing is stored, kept for later use or left over. */
  get isEmpty(): boolean {
    return this.size.ranks === 0 && this.blocks.isEmpty;
  }

  /** Bytes of typed arrays. */
  get bytes(): number {
    let { bytes } = this.blocks;
    for (const rank of this.byIndex) bytes += rank?.hashes.bytes ?? 0;
    return bytes;
  }

  private store(known: Rank | undefined, worker: WorkerKey, { parent_hash, blocks }: StoredBlocks): ApplyOutcome {
    let position = root;
    if (parent_hash !== null) {
      position = known === undefined ? 0 : parentIn(known, parent_hash, blocks);
      if (position === 0) return "parent_not_found";
    }
    if (!this.hasRoomFor(blocks.length)) return "index_full";
    if (blocks.length === 0) return "applied";
    const rank = known ?? this.addRank(worker);
    for (let i = 0; i < blocks.length; i++) {
      const { tokens_hash, block_hash } = blocks[i]!;
      split(tokens_hash);
      const low = splitLow();
      const high = splitHigh();
      split(block_hash);
      position = this.blocks.store(rank, position, low, high, splitLow(), splitHigh(), blocks.length - i);
    }
    return "applied";
  }

  private hasRoomFor(blocks: number): boolean {
    return this.blocks.entries + this.blocks.strays + blocks <= this.entriesMax;
  }

  private remove(rank: Rank | undefined, { block_hashes }: RemovedBlocks): ApplyOutcome {
    let outcome: ApplyOutcome = "applied";
    for (const hash of block_hashes) {
      split(hash);
      if (rank === undefined || !this.blocks.remove(rank, splitLow(), splitHigh())) outcome = "block_not_found";
    }
    return outcome;
  }

  /** What the rank holds on attached paths, parents first. */
  private namesInOrder(rank: Rank, order: (position: number) => number): NamedPosition[] {
    const { tree } = this.blocks;
    const names: (NamedPosition & { order: number })[] = [];
    for (const [hash, position] of rank.hashes.entries()) {
      if (position === nowhere || !tree.isAttached(position)) continue;
      if (this.blocks.holds(rank, position)) names.push({ hash, position, order: order(position) });
    }
    return names.sort((a, b) => a.order - b.order);
  }

  private addRank(worker: WorkerKey, room = 0): Rank {
    const rank: Rank = { ...this.newBlocks(room), worker };
    this.byIndex[rank.index] = rank;
    this.ranks.set(worker, rank);
    return rank;
  }

  private newBlocks(room = 0): RankBlocks {
    return { index: this.freeIndexes.pop() ?? this.byIndex.length, hashes: new EngineHashes(room), strays: new Set() };
  }

  private freeIndex(index: number): void {
    this.byIndex[index] = undefined;
    this.freeIndexes.push(index);
  }
}

/** The position that a rank's new blocks follow, or 0. */
function parentIn({ hashes }: Rank, parent: ExternalHash, blocks: readonly StoredBlock[]): number {
  split(blocks.length === 0 ? parent : blocks[0]!.block_hash);
  const low = splitLow();
  const high = splitHigh();
  split(parent);
  return hashes.getBeside(splitLow(), splitHigh(), low, high);
}
