// Fills an index with the images of ranks (rank-image.ts).
//
// Ways that no rank has been restored upon yet are held by a rank of the restorer's own, until all ranks are there: a position that nobody
// holds is forgotten with all below it.
// I1  Until `done` nothing is ever freed, so whatever words say, positions stay what they are.
import { AppError } from "@mm-router/protocol";
import type { Holdings, RankBlocks } from "./holdings.ts";
import { nowhere } from "./holdings.ts";
import { root } from "./position-tree.ts";
import { isHeld, isNamed, nowhereOrdinal, stretchWords } from "./rank-image.ts";

export class RankRestorer {
  private readonly blocks: Holdings;
  private readonly rank: RankBlocks;
  private readonly scaffold: RankBlocks;
  private readonly entriesMax: number;
  /** Position of each ordinal. */
  private positions = new Uint32Array(1_024).fill(root);
  private ordinals = 1;

  constructor(blocks: Holdings, rank: RankBlocks, scaffold: RankBlocks, entriesMax: number) {
    this.blocks = blocks;
    this.rank = rank;
    this.scaffold = scaffold;
    this.entriesMax = entriesMax;
  }

  /**
   * Takes one slice of the image; slices come in order.
   *
   * @throws AppError `protocol_error` when it is none, `overloaded` beyond the index's limit
   */
  take(words: Uint32Array): void {
    const halves = new Int32Array(words.buffer, words.byteOffset, words.length);
    for (let at = 0; at < words.length; ) {
      const parent = words[at]!;
      const kind = words[at + 1]!;
      const count = words[at + 2]!;
      const nodeWords = (parent === nowhereOrdinal ? 0 : 2) + ((kind & isNamed) === 0 ? 0 : 2);
      const end = at + stretchWords + count * nodeWords;
      if (!(end <= words.length) || nodeWords === 0 || kind > (isNamed | isHeld)) throw noImage();
      if (this.blocks.entries + this.blocks.strays + count > this.entriesMax) throw new AppError("overloaded", "the index is too small");
      this.makeRoom(count);
      this.takeStretch(this.parentAt(parent), kind, halves, at + stretchWords, count);
      at = end;
    }
  }

  private parentAt(ordinal: number): number {
    if (ordinal === nowhereOrdinal) return nowhere;
    if (ordinal >= this.ordinals) throw noImage();
    return this.positions[ordinal]!;
  }

  private makeRoom(nodes: number): void {
    if (this.ordinals + nodes <= this.positions.length) return;
    const positions = new Uint32Array(2 * (this.ordinals + nodes));
    positions.set(this.positions);
    this.positions = positions;
  }

  private takeStretch(parent: number, kind: number, halves: Int32Array, from: number, count: number): void {
    const { blocks, rank, scaffold, positions } = this;
    const held = (kind & isHeld) !== 0;
    let position = parent;
    for (let at = from, left = count; left > 0; left--) {
      if (parent !== nowhere) {
        position = blocks.place(position, halves[at++]!, halves[at++]!, left);
        if (!held && !blocks.holds(scaffold, position)) blocks.holdStray(scaffold, position);
      }
      if ((kind & isNamed) !== 0) blocks.name(rank, position, halves[at++]!, halves[at++]!, held);
      else if (held) blocks.holdStray(rank, position);
      positions[this.ordinals++] = position;
    }
  }
}

function noImage(): AppError {
  return new AppError("protocol_error", "words that are no image of a rank");
}
