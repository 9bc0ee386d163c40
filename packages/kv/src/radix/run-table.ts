// Facts of the tree's runs, eight words each: a lookup or a new block asks for several facts of one run, and they share a cache line.
//
//   run   | base | parent | first child | next | previous | forks | live, used, size | – |        32 bytes
//
// The tree (position-tree.ts) owns what the facts mean; this file only knows where they are.
const words = 8;
const runsMin = 64;

/** Word offsets within a run. */
const parentWord = 1;
const firstChildWord = 2;
const nextWord = 3;
const previousWord = 4;
const forksWord = 5;
const lengthsWord = 6;

export const noRun = 0xffff_ffff;

export class RunTable {
  private facts = new Uint32Array(runsMin * words);
  private end = 0;
  private readonly free: number[] = [];

  /** A run without branches, with its head alone. */
  add(base: number, size: number, parent: number): number {
    const run = this.free.pop() ?? this.end++;
    if (run * words === this.facts.length) this.grow();
    const { facts } = this;
    const at = run * words;
    facts[at] = base;
    facts[at + parentWord] = parent;
    facts[at + firstChildWord] = noRun;
    facts[at + forksWord] = 0;
    facts[at + lengthsWord] = 1 | (1 << 8) | (size << 16);
    return run;
  }

  remove(run: number): void {
    this.free.push(run);
  }

  base(run: number): number {
    return this.facts[run * words]!;
  }

  /** Position that the head is a child of. */
  parent(run: number): number {
    return this.facts[run * words + parentWord]!;
  }

  firstChild(run: number): number {
    return this.facts[run * words + firstChildWord]!;
  }

  setFirstChild(run: number, child: number): void {
    this.facts[run * words + firstChildWord] = child;
  }

  next(run: number): number {
    return this.facts[run * words + nextWord]!;
  }

  setNext(run: number, next: number): void {
    this.facts[run * words + nextWord] = next;
  }

  previous(run: number): number {
    return this.facts[run * words + previousWord]!;
  }

  setPrevious(run: number, previous: number): void {
    this.facts[run * words + previousWord] = previous;
  }

  /** Bit i: some run branches off, or once did, at offset i. */
  forks(run: number): number {
    return this.facts[run * words + forksWord]!;
  }

  setForks(run: number, forks: number): void {
    this.facts[run * words + forksWord] = forks;
  }

  live(run: number): number {
    return this.facts[run * words + lengthsWord]! & 0xff;
  }

  setLive(run: number, live: number): void {
    const at = run * words + lengthsWord;
    this.facts[at] = (this.facts[at]! & ~0xff) | live;
  }

  used(run: number): number {
    return (this.facts[run * words + lengthsWord]! >>> 8) & 0xff;
  }

  setUsed(run: number, used: number): void {
    const at = run * words + lengthsWord;
    this.facts[at] = (this.facts[at]! & ~0xff00) | (used << 8);
  }

  /** The run's extent has `positionsOf(size)` positions. */
  size(run: number): number {
    return this.facts[run * words + lengthsWord]! >>> 16;
  }

  /** Runs in use. */
  get count(): number {
    return this.end - this.free.length;
  }

  /** Greater than every run's number. */
  get limit(): number {
    return this.end;
  }

  get bytes(): number {
    return this.facts.byteLength;
  }

  private grow(): void {
    const grown = new Uint32Array(this.facts.length * 2);
    grown.set(this.facts);
    this.facts = grown;
  }
}
