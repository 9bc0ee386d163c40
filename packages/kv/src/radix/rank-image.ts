// One rank's blocks as words that an empty index can be filled with again: what a snapshot is made of.
//
//   image     stretch, stretch, …                               each node gets the next ordinal, from 1; 0 is the root
//   stretch   | parent's ordinal | kind | count |  count × node    a node's parent is the one before it
//   node      | tokens_hash low, high |  | engine hash low, high |    without the first below `nowhere`, without the second when not named
//
// Nothing that events can ask for is left out: a position that the rank does not hold stands there as the way to one that it holds, and
// names of forgotten blocks hang below `nowhere`.
//
// The index may change between two slices. Then the image tells of each block what was true when its slice was drawn, and applying the
// events since the first slice again gives what the index holds: a block stored or removed meanwhile is named by one of them.
// I1  Parents come before children. I2  A slice ends with a stretch. I3  Words are of this machine's order, little-endian wherever we run.
import type { Holdings, RankBlocks } from "./holdings.ts";
import { nowhere } from "./holdings.ts";
import { mix, slotOf } from "./hash-bits.ts";
import { root } from "./position-tree.ts";

/** Bits of a stretch's kind. Neither: the way to blocks below. */
export const isNamed = 1;
export const isHeld = 2;
export const stretchWords = 3;
/** As a parent's ordinal: the blocks below are forgotten, their names are left. */
export const nowhereOrdinal = 0xffff_ffff;

/** A node that opens a stretch. */
const nodeWordsMax = stretchWords + 4;
/** About two milliseconds of work, 32 KiB. */
export const sliceNodesDefault = 2_048;

export class RankImage {
  private readonly blocks: Holdings;
  private readonly rank: RankBlocks;
  /** Low, high, position of each name at the first slice. */
  private readonly names: Int32Array;
  /** Ordinal of each name's node; 0 = not written yet. */
  private readonly ordinals: Uint32Array;
  /** Open addressing by position: index of its first name, plus 1. */
  private readonly slots: Uint32Array;
  /** Ordinals of nodes that the rank has no name for. */
  private readonly unnamed = new Map<number, number>();
  private readonly sliceNodes: number;
  private words: Uint32Array;
  private length = 0;
  private stretchAt = 0;
  private written = 0;

  /** @param sliceNodes nodes after which a slice ends */
  constructor(blocks: Holdings, rank: RankBlocks, sliceNodes: number) {
    this.blocks = blocks;
    this.rank = rank;
    this.sliceNodes = sliceNodes;
    this.words = new Uint32Array(4 * sliceNodes + nodeWordsMax);
    this.names = rank.hashes.copy();
    const count = rank.hashes.size;
    this.ordinals = new Uint32Array(count);
    this.slots = new Uint32Array(Math.max(2 * count, 1));
  }

  /** Some slices are empty: they bound the work between two of them. */
  *slices(): Iterable<Uint32Array> {
    yield* this.findNames();
    for (let name = 0, from = 0; name < this.ordinals.length; name++) {
      this.writeName(name);
      if (this.written - from < this.sliceNodes && (name + 1) % this.sliceNodes !== 0) continue;
      from = this.written;
      yield this.slice();
    }
    for (const position of this.rank.strays) if (this.blocks.tree.isAttached(position)) this.writePath(position);
    yield this.slice();
  }

  private *findNames(): Iterable<Uint32Array> {
    for (let name = 0; name < this.ordinals.length; name++) {
      const slot = this.slotFor(this.positionOf(name));
      if (this.slots[slot] === 0) this.slots[slot] = name + 1;
      if ((name + 1) % (8 * this.sliceNodes) === 0) yield new Uint32Array();
    }
  }

  private slice(): Uint32Array {
    const slice = this.words.slice(0, this.length);
    this.length = 0;
    return slice;
  }

  private writeName(name: number): void {
    const position = this.positionOf(name);
    if (!this.isValid(name)) return; // stored anew or removed since: an event tells
    if (position === nowhere || !this.blocks.tree.isAttached(position)) this.writeNode(nowhere, nowhereOrdinal, name, isNamed);
    else if (this.nameOf(position) === name) this.writePath(position);
    else this.writeNode(position, this.writePath(this.blocks.tree.parentOf(position)), name, this.kindOf(position, name));
  }

  /** Writes what is missing on the way to an attached position, and it. @returns its ordinal */
  private writePath(position: number): number {
    const { tree } = this.blocks;
    const missing: number[] = [];
    let parent = this.ordinalOf(position);
    for (let at = position; parent === undefined; parent = this.ordinalOf(at)) {
      missing.push(at);
      at = tree.parentOf(at);
    }
    for (let at = missing.pop(); at !== undefined; at = missing.pop()) {
      const name = this.nameOf(at);
      parent = this.writeNode(at, parent, name, this.kindOf(at, name));
    }
    return parent;
  }

  private writeNode(position: number, parent: number, name: number | undefined, kind: number): number {
    if (this.length + nodeWordsMax > this.words.length) this.words = grown(this.words);
    this.openStretch(parent, kind);
    const { words } = this;
    words[this.stretchAt + 2]!++;
    if (parent !== nowhereOrdinal) {
      words[this.length++] = this.blocks.tree.tokensLow(position);
      words[this.length++] = this.blocks.tree.tokensHigh(position);
    }
    if ((kind & isNamed) !== 0) {
      words[this.length++] = this.names[3 * name!]!;
      words[this.length++] = this.names[3 * name! + 1]!;
    }
    const ordinal = ++this.written;
    if (name === undefined) this.unnamed.set(position, ordinal);
    else this.ordinals[name] = ordinal;
    return ordinal;
  }

  /** The stretch before goes on where the node is the child of its last one, and of its kind. */
  private openStretch(parent: number, kind: number): void {
    const { words, stretchAt: at } = this;
    const follows = parent === nowhereOrdinal ? words[at] === parent : words[at] !== nowhereOrdinal && parent === this.written;
    if (this.length > 0 && follows && words[at + 1] === kind) return;
    this.stretchAt = this.length;
    words[this.length++] = parent;
    words[this.length++] = kind;
    words[this.length++] = 0;
  }

  private kindOf(position: number, name: number | undefined): number {
    const named = name !== undefined && this.isValid(name);
    const held = (named || this.rank.strays.has(position)) && this.blocks.holds(this.rank, position);
    return (named ? isNamed : 0) | (held ? isHeld : 0);
  }

  /** undefined: not written yet. */
  private ordinalOf(position: number): number | undefined {
    if (position === root) return 0;
    const name = this.nameOf(position);
    return name === undefined ? this.unnamed.get(position) : this.ordinals[name] || undefined;
  }

  private isValid(name: number): boolean {
    return this.rank.hashes.get(this.names[3 * name]!, this.names[3 * name + 1]!) === this.positionOf(name);
  }

  /** The first name of a position when the image was begun. */
  private nameOf(position: number): number | undefined {
    const name = this.slots[this.slotFor(position)]!;
    return name === 0 ? undefined : name - 1;
  }

  private positionOf(name: number): number {
    return this.names[3 * name + 2]!;
  }

  /** Where the position is, or the free slot where it would go. */
  private slotFor(position: number): number {
    let slot = slotOf(mix(position, 0, 0), this.slots.length);
    while (this.slots[slot] !== 0 && this.positionOf(this.slots[slot]! - 1) !== position) slot = (slot + 1) % this.slots.length;
    return slot;
  }
}

function grown(words: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * words.length);
  larger.set(words);
  return larger;
}
