// The merges of a BPE model: (left id, right id) → rank and merged id.
//
// Half a million entries; a hash table in typed arrays takes a tenth of the memory of a Map and is asked without making keys.
import { AppError } from "@mm-router/protocol";
import { forEachOf, type Steps } from "../steps.ts";
import type { Merge } from "./tokenizer-json.ts";

export const noRank = 0x7fff_ffff;

export class MergeTable {
  /** Open addressing; −1 is empty. */
  readonly #lefts: Int32Array;
  readonly #rights: Int32Array;
  readonly #ranks: Int32Array;
  readonly #merged: Int32Array;
  readonly #mask: number;

  private constructor(count: number) {
    const capacity = 2 ** Math.ceil(Math.log2(count * 2 + 2)); // at most half full
    this.#lefts = new Int32Array(capacity).fill(-1);
    this.#rights = new Int32Array(capacity);
    this.#ranks = new Int32Array(capacity);
    this.#merged = new Int32Array(count);
    this.#mask = capacity - 1;
  }

  /** @throws AppError `configuration` for a merge of tokens that the vocabulary lacks */
  static *of(merges: readonly Merge[], vocabulary: ReadonlyMap<string, number>): Steps<MergeTable> {
    const table = new MergeTable(merges.length);
    yield* forEachOf(merges, (merge, rank) => {
      const [left, right] = typeof merge === "string" ? splitMerge(merge) : merge;
      const ids = [vocabulary.get(left), vocabulary.get(right), vocabulary.get(left + right)] as const;
      if (ids[0] === undefined || ids[1] === undefined || ids[2] === undefined) {
        throw new AppError("configuration", `tokenizer.json: merge ${rank} is of tokens that the vocabulary lacks`);
      }
      table.#add(ids[0], ids[1], ids[2], rank);
    });
    return table;
  }

  #add(left: number, right: number, merged: number, rank: number): void {
    const slot = this.#slot(left, right);
    this.#lefts[slot] = left;
    this.#rights[slot] = right;
    this.#ranks[slot] = rank;
    this.#merged[rank] = merged;
  }

  /** The slot that has the pair, or where it would go. */
  #slot(left: number, right: number): number {
    let slot = (Math.imul(left, 0x9e37_79b1) ^ Math.imul(right, 0x85eb_ca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & this.#mask;
    while (this.#lefts[slot] !== -1 && (this.#lefts[slot] !== left || this.#rights[slot] !== right)) slot = (slot + 1) & this.#mask;
    return slot;
  }

  /** Lower merges first; `noRank` for a pair that does not merge. */
  rank(left: number, right: number): number {
    const slot = this.#slot(left, right);
    return this.#lefts[slot] === -1 ? noRank : (this.#ranks[slot] as number);
  }

  merged(rank: number): number {
    return this.#merged[rank] as number;
  }
}

/** Old files write "left right"; no token of theirs has a space. */
function splitMerge(merge: string): readonly [string, string] {
  const at = merge.indexOf(" ", 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}
