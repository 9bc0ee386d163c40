// One rank's engine hashes: hash → position, in an open-addressing table.
//
//   slot   | low | high | position |        12 bytes; position 0 = free slot (0 is the root, which no hash names)
//
// Linear probing; a removal moves later slots of the cluster back instead of leaving a tombstone, so turnover costs nothing.
import { join, mix, slotOf } from "./hash-bits.ts";
import type { U64 } from "@mm-router/protocol";

const words = 3;
const capacityMin = 16;
/** Probes stay short up to here; growing by 1.6 keeps a slot's share between 15 and 24 bytes per entry. */
const loadMax = 0.8;
const growth = 1.6;

export class EngineHashes {
  private slots: Int32Array;
  private capacity: number;
  size = 0;
  /** A slot that was read ahead; nothing reads it, but what is kept has to be fetched. */
  private ahead = 0;

  /** @param room for so many entries before it grows */
  constructor(room = 0) {
    this.capacity = Math.max(capacityMin, Math.ceil(room / loadMax));
    this.slots = new Int32Array(this.capacity * words);
  }

  /**
   * The position, or 0. The slot of `next`, which is to be set soon, is read beside it: both are cache misses, and a processor waits for two
   * at a time hardly longer than for one.
   */
  getBeside(low: number, high: number, nextLow: number, nextHigh: number): number {
    const home = this.homeOf(low, high);
    this.ahead = this.slots[this.homeOf(nextLow, nextHigh)]!;
    return this.slots[this.findFrom(home, low, high) + 2]!;
  }

  /** The position, or 0. */
  get(low: number, high: number): number {
    return this.slots[this.find(low, high) + 2]!;
  }

  /** Sets the position and returns the one before, or 0. */
  set(low: number, high: number, position: number): number {
    if (this.size + 1 > this.capacity * loadMax) this.grow();
    const at = this.find(low, high);
    const { slots } = this;
    const before = slots[at + 2]!;
    if (before === 0) this.size++;
    slots[at] = low;
    slots[at + 1] = high;
    slots[at + 2] = position;
    return before;
  }

  /** Removes the hash and returns its position, or 0. */
  delete(low: number, high: number): number {
    const at = this.find(low, high);
    const position = this.slots[at + 2]!;
    if (position !== 0) {
      this.size--;
      this.close(at / words);
    }
    return position;
  }

  /** The table must not change meanwhile. */
  *entries(): Iterable<readonly [hash: U64, position: number]> {
    for (let at = 0; at < this.slots.length; at += words) {
      const position = this.slots[at + 2]!;
      if (position !== 0) yield [join(this.slots[at]!, this.slots[at + 1]!), position];
    }
  }

  /** Low, high, position of each hash. */
  copy(): Int32Array {
    const copy = new Int32Array(this.size * words);
    let to = 0;
    for (let at = 0; at < this.slots.length; at += words) {
      if (this.slots[at + 2] === 0) continue;
      copy[to++] = this.slots[at]!;
      copy[to++] = this.slots[at + 1]!;
      copy[to++] = this.slots[at + 2]!;
    }
    return copy;
  }

  get bytes(): number {
    return this.slots.byteLength;
  }

  /** Where the hash is, or the free slot where it would go. */
  private find(low: number, high: number): number {
    return this.findFrom(this.homeOf(low, high), low, high);
  }

  private homeOf(low: number, high: number): number {
    return slotOf(mix(low, high, 0), this.capacity) * words;
  }

  private findFrom(home: number, low: number, high: number): number {
    const { slots } = this;
    const end = slots.length;
    let at = home;
    while (slots[at + 2] !== 0 && (slots[at] !== low || slots[at + 1] !== high)) {
      at += words;
      if (at === end) at = 0;
    }
    return at;
  }

  /** Frees slot `hole` and moves every later slot of the cluster that may stand there. */
  private close(hole: number): void {
    const { slots, capacity } = this;
    for (let next = (hole + 1) % capacity; slots[next * words + 2] !== 0; next = (next + 1) % capacity) {
      const home = slotOf(mix(slots[next * words]!, slots[next * words + 1]!, 0), capacity);
      if ((next - home + capacity) % capacity < (next - hole + capacity) % capacity) continue;
      slots.copyWithin(hole * words, next * words, (next + 1) * words);
      hole = next;
    }
    slots[hole * words + 2] = 0;
  }

  /** All hashes differ, so each goes to the first free slot; slots keep about their order, so memory is read and written in order. */
  private grow(): void {
    const old = this.slots;
    const capacity = Math.ceil(this.capacity * growth);
    const end = capacity * words;
    const slots = new Int32Array(end);
    for (let from = 0; from < old.length; from += words) {
      const position = old[from + 2]!;
      if (position === 0) continue;
      const low = old[from]!;
      const high = old[from + 1]!;
      let to = slotOf(mix(low, high, 0), capacity) * words;
      while (slots[to + 2] !== 0) {
        to += words;
        if (to === end) to = 0;
      }
      slots[to] = low;
      slots[to + 1] = high;
      slots[to + 2] = position;
    }
    this.slots = slots;
    this.capacity = capacity;
  }
}
