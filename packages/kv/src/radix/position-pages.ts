// Memory of positions: pages of records, cut into extents of 4, 8, 16 or 32 positions.
//
//   record   | tokens_hash low | high | set of ranks |                12 bytes
//   page     16 384 records, made when needed, never moved: growing copies nothing
//   chunk    | 16 | 8 | 4 | 4 |                                       32 positions, halved on demand, halves joined again when both are free
//
// The free extents of one size form a list whose links lie in the extents themselves.
// I1  An extent of n positions begins at a multiple of n, so its other half is found by one bit.
// I2  Position 0 is never given out: it is the root.
const pageBits = 14;
const pagePositions = 1 << pageBits;
export const pageMask = pagePositions - 1;
export const recordWords = 3;

/** Extents hold 4 << size positions, size 0 … 3. */
export const sizeMax = 3;
export const positionsOf = (size: number): number => 4 << size;
const chunkPositions = positionsOf(sizeMax);

/** The smallest size for `count` positions, at most `sizeMax`. */
export function sizeFor(count: number): number {
  let size = 0;
  while (size < sizeMax && positionsOf(size) < count) size++;
  return size;
}

const none = 0;

export class PositionPages {
  private readonly pages: Int32Array[] = [];
  /** Per quad of positions: 1 + the size of the free extent that begins there, 0 = none does. */
  private readonly freeSizes: Uint8Array[] = [];
  /** Per quad of positions: the run it belongs to. */
  private readonly runs: Uint32Array[] = [];
  private readonly heads = new Array<number>(sizeMax + 1).fill(none);
  private end = 0;

  constructor() {
    this.take(0); // I2
  }

  /** The records around a position: word `(position & pageMask) × recordWords` and on. */
  page(position: number): Int32Array {
    return this.pages[position >>> pageBits]!;
  }

  runOf(position: number): number {
    return this.runs[position >>> pageBits]![(position & pageMask) >>> 2]!;
  }

  setRun(base: number, size: number, run: number): void {
    const quad = (base & pageMask) >>> 2;
    this.runs[base >>> pageBits]!.fill(run, quad, quad + (1 << size));
  }

  /** An extent with zeroed records; returns its first position. */
  take(size: number): number {
    const base = this.heads[size]!;
    if (base !== none) {
      this.unlist(base, size);
      const word = (base & pageMask) * recordWords;
      this.page(base).fill(0, word, word + positionsOf(size) * recordWords);
      return base;
    }
    if (size === sizeMax) return this.newChunk();
    const half = this.take(size + 1);
    this.list(half + positionsOf(size), size);
    return half;
  }

  give(base: number, size: number): void {
    while (size < sizeMax) {
      const other = base ^ positionsOf(size);
      if (this.freeSizeAt(other) !== size + 1) break;
      this.unlist(other, size);
      base = Math.min(base, other);
      size++;
    }
    this.list(base, size);
  }

  get bytes(): number {
    return this.pages.length * (pagePositions * recordWords * 4 + (pagePositions / 4) * 5);
  }

  private newChunk(): number {
    if ((this.end & pageMask) === 0) {
      this.pages.push(new Int32Array(pagePositions * recordWords));
      this.freeSizes.push(new Uint8Array(pagePositions / 4));
      this.runs.push(new Uint32Array(pagePositions / 4));
    }
    const base = this.end;
    this.end += chunkPositions;
    return base;
  }

  private freeSizeAt(base: number): number {
    return this.freeSizes[base >>> pageBits]![(base & pageMask) >>> 2]!;
  }

  private setFreeSizeAt(base: number, value: number): void {
    this.freeSizes[base >>> pageBits]![(base & pageMask) >>> 2] = value;
  }

  private list(base: number, size: number): void {
    const head = this.heads[size]!;
    this.link(none, base, size);
    this.link(base, head, size);
    this.setFreeSizeAt(base, size + 1);
  }

  private unlist(base: number, size: number): void {
    const word = (base & pageMask) * recordWords;
    const [next, previous] = [this.page(base)[word]!, this.page(base)[word + 1]!];
    this.link(previous, next, size);
    this.setFreeSizeAt(base, 0);
  }

  /** Makes `next` follow `previous` in the list of a size; either may be none (the head, the end). */
  private link(previous: number, next: number, size: number): void {
    if (previous === none) this.heads[size] = next;
    else this.page(previous)[(previous & pageMask) * recordWords] = next;
    if (next !== none) this.page(next)[(next & pageMask) * recordWords + 1] = previous;
  }
}
