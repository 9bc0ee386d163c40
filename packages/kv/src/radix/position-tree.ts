// The tree of positions, stored as runs: stretches of a path that lie next to each other in memory.
//
//   run 5   | a | b | c | d |   |   |         extent of 8 positions; a is its head, each next one is the child of the one before
//                 └── run 9   | x | y |       a branch: found by (b, tokens_hash of x) in the branch table
//
// A lookup tries the neighbour first and asks the table once per run. A run that continues a full one gets twice its size (up to 32), so
// long paths are read in order and short branches waste little.
//
//   run   [base, base + live)         attached positions, reachable from the root
//         [base + live, base + used)  cut off: forgotten, or below a forgotten position; kept while some rank's hash names them
//
// I1  Position 0 is the root, in run 0. I2  An attached position has holders or is the root; attached positions form a prefix of their run.
// I3  A run is freed when `used` is 0, and `used` shrinks as soon as its last position has neither holders nor hashes.
// I4  `unpaired` counts, per position, hashes that name it minus ranks that hold it, where that is not 0 (kv-index.ts, I6, and a rank that
//     stored one position under two hashes).
import { BranchTable } from "./branch-table.ts";
import { mix } from "./hash-bits.ts";
import { pageMask, positionsOf, PositionPages, recordWords, sizeFor, sizeMax } from "./position-pages.ts";

export const root = 0;
const rootRun = 0;
const noRun = 0xffff_ffff;

export class PositionTree {
  private readonly pages = new PositionPages();
  private readonly branches = new BranchTable((run, parent, low, high) => this.isChild(run, parent, low, high));
  private readonly unpaired = new Map<number, number>();
  private runs = newRuns(64);
  private nextRun = 0;
  private readonly freeRuns: number[] = [];

  constructor() {
    const run = this.makeRun(0, 0, noRun);
    this.runs.live[run] = 1;
    this.runs.used[run] = 1;
  }

  /**
   * The child of a position, added where an attached position has no such child; 0 below a position that is cut off and has none.
   *
   * @param wanted  how many blocks will follow in one path, itself included
   */
  place(parent: number, low: number, high: number, wanted: number): number {
    const run = this.pages.runOf(parent);
    const child = this.childIn(run, parent, low, high);
    if (child !== 0) return child;
    return parent < this.runs.base[run]! + this.runs.live[run]! ? this.grow(run, parent, low, high, wanted) : 0;
  }

  /** The child of a position of this run (whether attached or not) that an attached path leads to, or 0. */
  private childIn(run: number, parent: number, low: number, high: number): number {
    const { base, live, forks } = this.runs;
    const offset = parent - base[run]!;
    if (offset + 1 < live[run]! && this.hasTokens(parent + 1, low, high)) return parent + 1;
    if ((forks[run]! & (1 << offset)) === 0) return 0; // no branch, no need to miss the table's cache line
    const branch = this.branches.find(mix(low, high, parent), parent, low, high);
    return branch === -1 ? 0 : this.runs.base[branch]!;
  }

  private grow(run: number, parent: number, low: number, high: number, wanted: number): number {
    const { base, live, used, size } = this.runs;
    const end = base[run]! + used[run]!;
    const isLast = parent + 1 === end && live[run] === used[run];
    if (isLast && used[run]! < positionsOf(size[run]!) && run !== rootRun) {
      live[run]!++;
      used[run]!++;
      this.setTokens(end, low, high);
      return end;
    }
    const continues = isLast && run !== rootRun;
    return this.branch(parent, low, high, Math.max(sizeFor(wanted), continues ? Math.min(size[run]! + 1, sizeMax) : 0));
  }

  isAttached(position: number): boolean {
    const run = this.pages.runOf(position);
    return position < this.runs.base[run]! + this.runs.live[run]!;
  }

  /** The set of ranks that hold a position. */
  holders(position: number): number {
    return this.pages.page(position)[(position & pageMask) * recordWords + 2]!;
  }

  setHolders(position: number, set: number): void {
    this.pages.page(position)[(position & pageMask) * recordWords + 2] = set;
  }

  /** Counts a hash more (+1) or less (−1) than holders of this position. */
  unpair(position: number, difference: number): void {
    const count = (this.unpaired.get(position) ?? 0) + difference;
    if (count === 0) this.unpaired.delete(position);
    else this.unpaired.set(position, count);
  }

  /** Cuts off a position and all below it when nobody holds it, and frees what no hash names. */
  settle(position: number): void {
    if (this.holders(position) !== 0) return;
    const run = this.pages.runOf(position);
    const offset = position - this.runs.base[run]!;
    if (offset < this.runs.live[run]!) this.cut(run, offset);
    this.trim(run);
  }

  /**
   * Follows hashes from the root as far as positions exist.
   *
   * @param query  halves of the hashes, low first
   * @param visit  called with the holders of the first position and whenever they change; depth = positions before it; false ends the walk
   * @returns how many positions were followed, the refused one not counted
   */
  walk(query: Int32Array, visit: (holders: number, depth: number) => boolean): number {
    const depthMax = query.length / 2;
    let depth = 0;
    let holders = 0;
    for (let position = root; depth < depthMax; ) {
      position = this.childIn(this.pages.runOf(position), position, query[2 * depth]!, query[2 * depth + 1]!);
      if (position === 0) return depth;
      const run = this.pages.runOf(position);
      const end = this.runs.base[run]! + this.runs.live[run]!;
      const page = this.pages.page(position);
      for (let word = (position & pageMask) * recordWords; ; word += recordWords) {
        if (page[word + 2] !== holders) {
          holders = page[word + 2]!;
          if (!visit(holders, depth)) return depth;
        }
        depth++;
        if (position + 1 === end || depth === depthMax) break;
        if (page[word + recordWords] !== query[2 * depth] || page[word + recordWords + 1] !== query[2 * depth + 1]) break;
        position++;
      }
    }
    return depth;
  }

  /** Of an attached position other than the root. */
  parentOf(position: number): number {
    const run = this.pages.runOf(position);
    return position === this.runs.base[run] ? this.runs.parent[run]! : position - 1;
  }

  /** A number per attached position, parents before children and a path's neighbours together; valid until the tree changes. */
  pathOrder(): (position: number) => number {
    const { base, firstChild, next } = this.runs;
    const order = new Float64Array(base.length);
    const stack = [rootRun];
    for (let run = stack.pop(), at = 0; run !== undefined; run = stack.pop(), at += positionsOf(sizeMax)) {
      order[run] = at;
      for (let child = firstChild[run]!; child !== noRun; child = next[child]!) stack.push(child);
    }
    return (position) => {
      const run = this.pages.runOf(position);
      return order[run]! + position - base[run]!;
    };
  }

  /** The halves of a position's tokens_hash. */
  tokensLow(position: number): number {
    return this.pages.page(position)[(position & pageMask) * recordWords]!;
  }

  tokensHigh(position: number): number {
    return this.pages.page(position)[(position & pageMask) * recordWords + 1]!;
  }

  /** Whether there is the root alone. */
  get isEmpty(): boolean {
    return this.nextRun - this.freeRuns.length === 1 && this.unpaired.size === 0;
  }

  /** Memory, without what Maps and lists take. */
  get bytes(): number {
    return this.pages.bytes + this.branches.bytes + this.runs.base.length * bytesPerRun;
  }

  private hasTokens(position: number, low: number, high: number): boolean {
    const page = this.pages.page(position);
    const word = (position & pageMask) * recordWords;
    return page[word] === low && page[word + 1] === high;
  }

  private setTokens(position: number, low: number, high: number): void {
    const page = this.pages.page(position);
    const word = (position & pageMask) * recordWords;
    page[word] = low;
    page[word + 1] = high;
    page[word + 2] = 0;
  }

  private isChild(run: number, parent: number, low: number, high: number): boolean {
    return this.runs.parent[run] === parent && this.hasTokens(this.runs.base[run]!, low, high);
  }

  private branch(parent: number, low: number, high: number, size: number): number {
    const head = this.pages.take(size);
    const run = this.makeRun(head, size, parent);
    this.runs.live[run] = 1;
    this.runs.used[run] = 1;
    this.setTokens(head, low, high);
    this.branches.add(mix(low, high, parent), run);
    this.adopt(this.pages.runOf(parent), run);
    return head;
  }

  private makeRun(base: number, size: number, parent: number): number {
    const run = this.freeRuns.pop() ?? this.nextRun++;
    if (run === this.runs.base.length) this.runs = grownRuns(this.runs);
    this.runs.base[run] = base;
    this.runs.size[run] = size;
    this.runs.parent[run] = parent;
    this.runs.firstChild[run] = noRun;
    this.runs.forks[run] = 0;
    this.pages.setRun(base, size, run);
    return run;
  }

  private adopt(parentRun: number, run: number): void {
    const { firstChild, next, previous, forks, parent, base } = this.runs;
    const sibling = firstChild[parentRun]!;
    next[run] = sibling;
    previous[run] = noRun;
    if (sibling !== noRun) previous[sibling] = run;
    firstChild[parentRun] = run;
    forks[parentRun]! |= 1 << (parent[run]! - base[parentRun]!);
  }

  /** Takes a run out of the branch table and from its siblings. */
  private detach(run: number): void {
    const { base, parent, firstChild, next, previous } = this.runs;
    const head = base[run]!;
    this.branches.delete(mix(this.tokensLow(head), this.tokensHigh(head), parent[run]!), run);
    if (next[run] !== noRun) previous[next[run]!] = previous[run]!;
    if (previous[run] !== noRun) next[previous[run]!] = next[run]!;
    else firstChild[this.pages.runOf(parent[run]!)] = next[run]!;
  }

  /** Cuts off a run from `offset` on, and every run below. */
  private cut(run: number, offset: number): void {
    if (offset === 0) this.detach(run);
    const cutRuns = [run];
    for (let from = offset, at = cutRuns.pop(); at !== undefined; from = 0, at = cutRuns.pop()) {
      this.runs.live[at] = from;
      for (const child of this.childrenFrom(at, from)) {
        this.detach(child);
        cutRuns.push(child);
      }
      if (at !== run) this.trim(at);
    }
  }

  /** Runs that branch off at `offset` or later; corrects `forks`, which remembers branches that have gone. */
  private childrenFrom(run: number, offset: number): number[] {
    const { base, parent, firstChild, next, forks } = this.runs;
    const later = -1 << offset;
    if ((forks[run]! & later) === 0) return [];
    const children: number[] = [];
    for (let child = firstChild[run]!; child !== noRun; child = next[child]!) {
      if (parent[child]! - base[run]! >= offset) children.push(child);
    }
    forks[run]! &= ~later;
    return children;
  }

  private trim(run: number): void {
    const { base, live, used } = this.runs;
    while (used[run]! > live[run]! && this.isUnused(base[run]! + used[run]! - 1)) used[run]!--;
    if (used[run] !== 0) return;
    this.pages.give(base[run]!, this.runs.size[run]!);
    this.freeRuns.push(run);
  }

  private isUnused(position: number): boolean {
    return this.holders(position) === 0 && !this.unpaired.has(position);
  }
}

/** Facts of runs, an array each. */
interface Runs {
  readonly base: Uint32Array;
  /** Position that the head is a child of. */
  readonly parent: Uint32Array;
  readonly firstChild: Uint32Array;
  readonly next: Uint32Array;
  readonly previous: Uint32Array;
  /** Bit i: some run branches off, or once did, at offset i. */
  readonly forks: Uint32Array;
  readonly live: Uint8Array;
  readonly used: Uint8Array;
  /** The extent has `positionsOf(size)` positions. */
  readonly size: Uint8Array;
}

const bytesPerRun = 6 * 4 + 3;

function newRuns(capacity: number): Runs {
  const words = () => new Uint32Array(capacity);
  const bytes = () => new Uint8Array(capacity);
  return {
    base: words(),
    parent: words(),
    firstChild: words(),
    next: words(),
    previous: words(),
    forks: words(),
    live: bytes(),
    used: bytes(),
    size: bytes(),
  };
}

function grownRuns(old: Runs): Runs {
  const grown = newRuns(old.base.length * 2);
  for (const fact of Object.keys(grown) as (keyof Runs)[]) grown[fact].set(old[fact]);
  return grown;
}
