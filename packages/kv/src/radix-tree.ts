// The production index: the contract of kv-index.ts on typed arrays.
//
//   rank (1, 0)   engine hash → position ─┐
//   rank (2, 0)   engine hash → position ─┼─→ positions in runs: tokens_hash, set of ranks      radix/position-tree.ts
//   rank (2, 1)   engine hash → position ─┘                          └─→ interned rank sets     radix/rank-sets.ts
//
// Per (block, rank): 15–24 bytes in the rank's table and the rank's share of a 12-byte position, however many ranks there are.
// A lookup reads a path in order and does work only where the holders change. Measured in bench/kv.
//
// I1  A rank's bit at a position implies a hash of that rank that names it, or that the position is among the rank's strays.
// I2  `nowhere` stands for blocks stored below a forgotten position: a hash that can be a parent and be removed, nothing more.
import type { InstanceId, RemovedBlocks, RouterEvent, StoredBlock, StoredBlocks, WorkerKey } from "@mm-router/protocol";
import type { ApplyOutcome, ClearedScope, IndexSize, KvIndex } from "./kv-index.ts";
import type { OverlapScore, OverlapScores } from "./overlap.ts";
import { dumpRank, type NamedPosition } from "./radix/dump-rank.ts";
import { EngineHashes } from "./radix/engine-hashes.ts";
import { split, splitHigh, splitLow } from "./radix/hash-bits.ts";
import { PositionTree, root } from "./radix/position-tree.ts";
import { RankSets } from "./radix/rank-sets.ts";
import { RankMap } from "./rank-map.ts";

const nowhere = 0xffff_ffff;

interface Rank {
  /** Its bit in the rank sets. */
  readonly index: number;
  readonly worker: WorkerKey;
  readonly hashes: EngineHashes;
  /** Positions that the rank may hold though none of its hashes names them. */
  readonly strays: Set<number>;
}

export interface RadixTreeOptions {
  /** Pairs of block and rank; an event that would exceed it is ignored. Default 2^26: about 2.5 GB. */
  readonly entriesMax?: number;
}

const entriesMaxDefault = 2 ** 26;

export class RadixTree implements KvIndex {
  private tree = new PositionTree();
  private sets = new RankSets();
  private readonly ranks = new RankMap<Rank>();
  private readonly byIndex: (Rank | undefined)[] = [];
  private readonly freeIndexes: number[] = [];
  private readonly entriesMax: number;
  private entries = 0;
  private strays = 0;

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
    const { sets, byIndex } = this;
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
    const depth = this.tree.walk(new Uint32Array(hashes.buffer, hashes.byteOffset, 2 * hashes.length), narrow);
    for (let word = 0; word < alive.length; word++) keep(word, 0, depth);
    return scores;
  }

  removeWorker(workerId: InstanceId): void {
    for (const rank of this.ranks.ofWorker(workerId)) this.removeRank(rank.worker);
  }

  removeRank(worker: WorkerKey): void {
    const rank = this.ranks.get(worker);
    if (rank === undefined) return;
    for (const [, position] of rank.hashes.entries()) this.release(rank, position);
    for (const position of rank.strays) this.letGo(rank, position);
    this.entries -= rank.hashes.size;
    this.strays -= rank.strays.size;
    this.ranks.delete(worker);
    this.byIndex[rank.index] = undefined;
    this.freeIndexes.push(rank.index);
  }

  clear(): void {
    this.tree = new PositionTree();
    this.sets = new RankSets();
    this.ranks.clear();
    this.byIndex.length = 0;
    this.freeIndexes.length = 0;
    this.entries = 0;
    this.strays = 0;
  }

  *dump(worker?: WorkerKey): Iterable<RouterEvent> {
    const order = this.tree.pathOrder();
    const ranks = worker === undefined ? this.byIndex : [this.ranks.get(worker)];
    for (const rank of ranks) if (rank !== undefined) yield* dumpRank(rank.worker, this.namesInOrder(rank, order), this.tree);
  }

  entriesOf(worker: WorkerKey): number {
    return this.ranks.get(worker)?.hashes.size ?? 0;
  }

  get size(): IndexSize {
    return { ranks: this.byIndex.length - this.freeIndexes.length, entries: this.entries };
  }

  /** Whether nothing is stored, kept for later use or left over. */
  get isEmpty(): boolean {
    return this.size.ranks === 0 && this.strays === 0 && this.tree.isEmpty && this.sets.isEmpty;
  }

  /** Bytes of typed arrays. */
  get bytes(): number {
    let bytes = this.tree.bytes + this.sets.bytes;
    for (const rank of this.byIndex) bytes += rank?.hashes.bytes ?? 0;
    return bytes;
  }

  private store(known: Rank | undefined, worker: WorkerKey, { parent_hash, blocks }: StoredBlocks): ApplyOutcome {
    let position = root;
    if (parent_hash !== null) {
      split(parent_hash);
      position = known?.hashes.get(splitLow(), splitHigh()) ?? 0;
      if (position === 0) return "parent_not_found";
    }
    if (this.entries + this.strays + blocks.length > this.entriesMax) return "index_full";
    if (blocks.length === 0) return "applied";
    const rank = known ?? this.addRank(worker);
    for (let i = 0; i < blocks.length; i++) position = this.storeBlock(rank, position, blocks[i]!, blocks.length - i);
    return "applied";
  }

  /** @returns the block's position */
  private storeBlock(rank: Rank, parent: number, { block_hash, tokens_hash }: StoredBlock, wanted: number): number {
    const position = this.place(parent, tokens_hash, wanted);
    split(block_hash);
    const before = rank.hashes.set(splitLow(), splitHigh(), position);
    if (before === 0) this.entries++;
    const isNewName = before !== position;
    if (position !== nowhere) this.hold(rank, position, isNewName);
    if (isNewName && before !== 0 && before !== nowhere) this.leaveStray(rank, before);
    return position;
  }

  private place(parent: number, tokensHash: bigint, wanted: number): number {
    if (parent === nowhere) return nowhere;
    split(tokensHash);
    const low = splitLow();
    const high = splitHigh();
    const child = this.tree.child(parent, low, high);
    if (child !== 0) return child;
    return this.tree.isAttached(parent) ? this.tree.grow(parent, low, high, wanted) : nowhere;
  }

  /** The rank holds a position; `isNewName`: by a hash that did not name it yet. */
  private hold(rank: Rank, position: number, isNewName: boolean): void {
    const holders = this.tree.holders(position);
    const held = this.sets.has(holders, rank.index);
    if (!held) this.tree.setHolders(position, this.sets.with(holders, rank.index));
    if (held === isNewName) this.tree.unpair(position, isNewName ? 1 : -1);
  }

  /** A hash that named this position names another one now; the rank goes on holding it (kv-index.ts, I6). */
  private leaveStray(rank: Rank, position: number): void {
    this.tree.unpair(position, -1);
    if (this.sets.has(this.tree.holders(position), rank.index)) {
      this.strays -= rank.strays.size;
      rank.strays.add(position);
      this.strays += rank.strays.size;
    } else this.tree.settle(position);
  }

  private remove(rank: Rank | undefined, { block_hashes }: RemovedBlocks): ApplyOutcome {
    let outcome: ApplyOutcome = "applied";
    for (const hash of block_hashes) {
      split(hash);
      const position = rank?.hashes.delete(splitLow(), splitHigh()) ?? 0;
      if (rank === undefined || position === 0) {
        outcome = "block_not_found";
        continue;
      }
      this.entries--;
      this.release(rank, position);
    }
    return outcome;
  }

  /** A hash that named this position is gone. */
  private release(rank: Rank, position: number): void {
    if (position === nowhere) return;
    const holders = this.tree.holders(position);
    if (this.sets.has(holders, rank.index)) this.tree.setHolders(position, this.sets.without(holders, rank.index));
    else this.tree.unpair(position, -1);
    this.tree.settle(position);
  }

  /** The rank holds a position no longer that no hash of it names. */
  private letGo(rank: Rank, position: number): void {
    const holders = this.tree.holders(position);
    if (!this.sets.has(holders, rank.index)) return;
    this.tree.setHolders(position, this.sets.without(holders, rank.index));
    this.tree.unpair(position, 1);
    this.tree.settle(position);
  }

  /** What the rank holds on attached paths, parents first. */
  private namesInOrder(rank: Rank, order: (position: number) => number): NamedPosition[] {
    const names: (NamedPosition & { order: number })[] = [];
    for (const [hash, position] of rank.hashes.entries()) {
      if (position === nowhere || !this.tree.isAttached(position)) continue;
      if (this.sets.has(this.tree.holders(position), rank.index)) names.push({ hash, position, order: order(position) });
    }
    return names.sort((a, b) => a.order - b.order);
  }

  private addRank(worker: WorkerKey): Rank {
    const index = this.freeIndexes.pop() ?? this.byIndex.length;
    const rank: Rank = { index, worker, hashes: new EngineHashes(), strays: new Set() };
    this.byIndex[index] = rank;
    this.ranks.set(worker, rank);
    return rank;
  }
}
