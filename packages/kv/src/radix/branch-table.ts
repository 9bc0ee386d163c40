// Children that do not follow their parent in a run: (parent position, tokens_hash) → the child's run.
//
//   slot   | mixed bits | run + 1 |       8 bytes; 0 = free
//
// The key itself is not stored: `matches` compares it with what the run says, so equal bits alone never make a match.
import { slotOf } from "./hash-bits.ts";

const words = 2;
const capacityMin = 64;
const loadMax = 0.75;
const growth = 1.5;

export class BranchTable {
  private slots = new Int32Array(capacityMin * words);
  private capacity = capacityMin;
  private size = 0;
  private readonly matches: (run: number, parent: number, low: number, high: number) => boolean;

  constructor(matches: (run: number, parent: number, low: number, high: number) => boolean) {
    this.matches = matches;
  }

  /** The run whose head is this child, or −1. `bits` are the mixed bits of the key. */
  find(bits: number, parent: number, low: number, high: number): number {
    const { slots } = this;
    let at = slotOf(bits, this.capacity) * words;
    while (slots[at + 1] !== 0) {
      if (slots[at] === bits && this.matches(slots[at + 1]! - 1, parent, low, high)) return slots[at + 1]! - 1;
      at += words;
      if (at === slots.length) at = 0;
    }
    return -1;
  }

  add(bits: number, run: number): void {
    if (this.size + 1 > this.capacity * loadMax) this.grow();
    this.size++;
    this.insert(bits, run);
  }

  /** Removes a run that was added with these bits. */
  delete(bits: number, run: number): void {
    let at = slotOf(bits, this.capacity);
    while (this.slots[at * words + 1] !== run + 1) at = (at + 1) % this.capacity;
    this.size--;
    this.close(at);
  }

  get bytes(): number {
    return this.slots.byteLength;
  }

  private insert(bits: number, run: number): void {
    const { slots } = this;
    let at = slotOf(bits, this.capacity) * words;
    while (slots[at + 1] !== 0) {
      at += words;
      if (at === slots.length) at = 0;
    }
    slots[at] = bits;
    slots[at + 1] = run + 1;
  }

  /** Frees slot `hole` and moves every later slot of the cluster that may stand there. */
  private close(hole: number): void {
    const { slots, capacity } = this;
    for (let next = (hole + 1) % capacity; slots[next * words + 1] !== 0; next = (next + 1) % capacity) {
      const home = slotOf(slots[next * words]!, capacity);
      if ((next - home + capacity) % capacity < (next - hole + capacity) % capacity) continue;
      slots.copyWithin(hole * words, next * words, (next + 1) * words);
      hole = next;
    }
    slots[hole * words + 1] = 0;
  }

  private grow(): void {
    const old = this.slots;
    this.capacity = Math.ceil(this.capacity * growth);
    this.slots = new Int32Array(this.capacity * words);
    for (let at = 0; at < old.length; at += words) if (old[at + 1] !== 0) this.insert(old[at]!, old[at + 1]! - 1);
  }
}
