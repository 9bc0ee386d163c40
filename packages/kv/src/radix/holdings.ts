// Who holds which position, and under which engine hash: the rules of kv-index.ts, one block at a time, for numbered ranks.
//
//   rank 0   engine hash → position ─┐
//   rank 1   engine hash → position ─┼─→ positions in runs: tokens_hash, set of ranks      position-tree.ts
//   rank 2   engine hash → position ─┘                          └─→ interned rank sets     rank-sets.ts
//
// I1  A rank's bit at a position implies a hash of that rank that names it, or that the position is among the rank's strays.
// I2  `nowhere` stands for blocks stored below a forgotten position: a hash that can be a parent and be removed, nothing more.
import type { EngineHashes } from "./engine-hashes.ts";
import { PositionTree } from "./position-tree.ts";
import { RankSets } from "./rank-sets.ts";

export const nowhere = -1;

/** What one rank has stored. */
export interface RankBlocks {
  /** Its bit in the rank sets. */
  readonly index: number;
  readonly hashes: EngineHashes;
  /** Positions that the rank may hold though none of its hashes names them. */
  readonly strays: Set<number>;
}

export class Holdings {
  readonly tree = new PositionTree();
  readonly sets = new RankSets();
  /** Pairs of engine hash and rank. */
  entries = 0;
  strays = 0;

  /**
   * The rank stores a block below a position, its halves first.
   *
   * @param wanted  how many blocks will follow in one path, itself included
   * @returns the block's position, or `nowhere`
   */
  store(rank: RankBlocks, parent: number, low: number, high: number, nameLow: number, nameHigh: number, wanted: number): number {
    const position = this.place(parent, low, high, wanted);
    this.name(rank, position, nameLow, nameHigh, true);
    return position;
  }

  /** A hash of the rank names this position from now on; `held`: and the rank holds it. */
  name(rank: RankBlocks, position: number, low: number, high: number, held: boolean): void {
    const before = rank.hashes.set(low, high, position);
    if (before === 0) this.entries++;
    const isNewName = before !== position;
    if (position !== nowhere) {
      if (held) this.hold(rank, position, isNewName);
      else if (isNewName) this.tree.unpair(position, 1);
    }
    if (isNewName && before !== 0 && before !== nowhere) this.leaveStray(rank, before);
  }

  /** The child of a position, made where there is none; `nowhere` below a forgotten one. */
  place(parent: number, low: number, high: number, wanted: number): number {
    if (parent === nowhere) return nowhere;
    return this.tree.place(parent, low, high, wanted) || nowhere;
  }

  /** The rank holds a position without a name for it. */
  holdStray(rank: RankBlocks, position: number): void {
    this.hold(rank, position, false);
    this.addStray(rank, position);
  }

  holds(rank: RankBlocks, position: number): boolean {
    return this.sets.has(this.tree.holders(position), rank.index);
  }

  /** Removes a hash of the rank. @returns false when it has no such hash */
  remove(rank: RankBlocks, low: number, high: number): boolean {
    const position = rank.hashes.delete(low, high);
    if (position === 0) return false;
    this.entries--;
    this.release(rank, position);
    return true;
  }

  /** The rank holds nothing any more. Its tables are not emptied: it is to be thrown away. */
  removeAll(rank: RankBlocks): void {
    for (const [, position] of rank.hashes.entries()) this.release(rank, position);
    for (const position of rank.strays) this.letGo(rank, position);
    this.entries -= rank.hashes.size;
    this.strays -= rank.strays.size;
  }

  /** Memory, without the ranks' tables. */
  get bytes(): number {
    return this.tree.bytes + this.sets.bytes;
  }

  /** Whether nothing is stored, kept for later use or left over. */
  get isEmpty(): boolean {
    return this.entries === 0 && this.strays === 0 && this.tree.isEmpty && this.sets.isEmpty;
  }

  /** The rank holds a position; `isNewName`: by a hash that did not name it yet. */
  private hold(rank: RankBlocks, position: number, isNewName: boolean): void {
    const holders = this.tree.holders(position);
    const held = this.sets.has(holders, rank.index);
    if (!held) this.tree.setHolders(position, this.sets.with(holders, rank.index));
    if (held === isNewName) this.tree.unpair(position, isNewName ? 1 : -1);
  }

  /** A hash that named this position names another one now; the rank goes on holding it (kv-index.ts, I6). */
  private leaveStray(rank: RankBlocks, position: number): void {
    this.tree.unpair(position, -1);
    if (this.holds(rank, position)) this.addStray(rank, position);
    else this.tree.settle(position);
  }

  private addStray(rank: RankBlocks, position: number): void {
    this.strays -= rank.strays.size;
    rank.strays.add(position);
    this.strays += rank.strays.size;
  }

  /** A hash that named this position is gone. */
  private release(rank: RankBlocks, position: number): void {
    if (position === nowhere) return;
    const holders = this.tree.holders(position);
    if (this.sets.has(holders, rank.index)) this.tree.setHolders(position, this.sets.without(holders, rank.index));
    else this.tree.unpair(position, -1);
    this.tree.settle(position);
  }

  /** The rank holds a position no longer that no hash of it names. */
  private letGo(rank: RankBlocks, position: number): void {
    const holders = this.tree.holders(position);
    if (!this.sets.has(holders, rank.index)) return;
    this.tree.setHolders(position, this.sets.without(holders, rank.index));
    this.tree.unpair(position, 1);
    this.tree.settle(position);
  }
}
