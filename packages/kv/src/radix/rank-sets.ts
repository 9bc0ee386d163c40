// Sets of ranks, each kept once: a position refers to the set of its holders by number.
//
//   positions of a path   7 7 7 7 7 3 3 3 0        neighbours mostly have the same holders, so comparing numbers
//   set 7 = {0, 4, 9}     set 3 = {4}              tells where a rank drops out
//
// A set is a row of bits, found again by a hash that is the XOR of its ranks' hashes, and counted by reference.
// I1  Set 0 is the empty set. Two sets with the same ranks have the same number.
// I2  `with` and `without` move one reference from the given set to the result.
import { mix } from "./hash-bits.ts";

const setsMin = 64;

export class RankSets {
  /** 32-bit words per set. */
  words = 1;
  /** Bits of set s: [s × words, (s + 1) × words). */
  bits = new Uint32Array(setsMin);
  private references = new Uint32Array(setsMin);
  private hashes = new Uint32Array(setsMin);
  /** Open addressing by hash; 0 = free. Its length is a power of two, at least twice the sets. */
  private slots = new Uint32Array(2 * setsMin);
  private readonly free: number[] = [];
  private next = 1;
  // The last step, which a stored event repeats for each of its blocks.
  private lastFrom = 0;
  private lastRank = -1;
  private lastTo = 0;

  has(set: number, rank: number): boolean {
    const word = rank >>> 5;
    return word < this.words && (this.bits[set * this.words + word]! & (1 << (rank & 31))) !== 0;
  }

  /** The set and `rank`, which it does not have yet. */
  with(set: number, rank: number): number {
    if (rank >>> 5 >= this.words) this.widen((rank >>> 5) + 1);
    return this.flip(set, rank);
  }

  /** The set without `rank`, which it has. */
  without(set: number, rank: number): number {
    return this.flip(set, rank);
  }

  /** Every set that something refers to, but for the empty one: its ranks, and how many refer to it. */
  *counted(): Iterable<{ readonly ranks: readonly number[]; readonly references: number }> {
    for (let set = 1; set < this.next; set++) {
      const references = this.references[set]!;
      if (references > 0) yield { ranks: this.ranksOf(set), references };
    }
  }

  /** Whether there is the empty set alone. */
  get isEmpty(): boolean {
    return this.next - this.free.length === 1;
  }

  get bytes(): number {
    return this.bits.byteLength + this.references.byteLength + this.hashes.byteLength + this.slots.byteLength;
  }

  private ranksOf(set: number): number[] {
    const ranks: number[] = [];
    for (let word = 0; word < this.words; word++) {
      for (let rest = this.bits[set * this.words + word]!; rest !== 0; rest &= rest - 1)
        ranks.push(32 * word + 31 - Math.clz32(rest & -rest));
    }
    return ranks;
  }

  private flip(from: number, rank: number): number {
    let to = this.lastTo;
    if (from !== this.lastFrom || rank !== this.lastRank) {
      to = this.find(from, rank);
      this.lastFrom = from;
      this.lastRank = rank;
      this.lastTo = to;
    }
    if (to !== 0) this.references[to]!++;
    if (from !== 0 && --this.references[from]! === 0) this.drop(from);
    return to;
  }

  /** The set that differs from `from` by `rank` alone; makes it when there is none. */
  private find(from: number, rank: number): number {
    const hash = (this.hashes[from]! ^ mix(rank + 1, 0, 0)) >>> 0;
    if (this.isOnly(from, rank)) return 0;
    const mask = this.slots.length - 1;
    let slot = hash & mask;
    for (let set = this.slots[slot]!; set !== 0; set = this.slots[(slot = (slot + 1) & mask)]!) {
      if (this.hashes[set] === hash && this.differsBy(from, set, rank)) return set;
    }
    return this.make(from, rank, hash);
  }

  private isOnly(set: number, rank: number): boolean {
    return set !== 0 && this.differsBy(set, 0, rank);
  }

  private differsBy(a: number, b: number, rank: number): boolean {
    const { bits, words } = this;
    for (let word = 0; word < words; word++) {
      const flipped = word === rank >>> 5 ? 1 << (rank & 31) : 0;
      if (((bits[a * words + word]! ^ bits[b * words + word]!) | 0) !== flipped) return false;
    }
    return true;
  }

  private make(from: number, rank: number, hash: number): number {
    const set = this.free.pop() ?? this.next++;
    if (set === this.references.length) this.enlarge();
    const { bits, words } = this;
    bits.copyWithin(set * words, from * words, (from + 1) * words);
    bits[set * words + (rank >>> 5)]! ^= 1 << (rank & 31);
    this.hashes[set] = hash;
    this.link(set);
    return set;
  }

  private link(set: number): void {
    const mask = this.slots.length - 1;
    let slot = this.hashes[set]! & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = set;
  }

  private drop(set: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let hole = this.hashes[set]! & mask;
    while (slots[hole] !== set) hole = (hole + 1) & mask;
    for (let next = (hole + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.hashes[slots[next]!]! & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      slots[hole] = slots[next]!;
      hole = next;
    }
    slots[hole] = 0;
    this.free.push(set);
    this.lastRank = -1;
  }

  private enlarge(): void {
    const sets = this.references.length * 2;
    this.bits = copied(this.bits, sets * this.words);
    this.references = copied(this.references, sets);
    this.hashes = copied(this.hashes, sets);
    const old = this.slots;
    this.slots = new Uint32Array(2 * sets);
    for (const set of old) if (set !== 0) this.link(set);
  }

  private widen(words: number): void {
    const old = this.bits;
    const sets = this.references.length;
    this.bits = new Uint32Array(sets * words);
    for (let set = 0; set < sets; set++) this.bits.set(old.subarray(set * this.words, (set + 1) * this.words), set * words);
    this.words = words;
  }
}

function copied(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(length);
  copy.set(array);
  return copy;
}
