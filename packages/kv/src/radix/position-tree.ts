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
import { noRun, RunTable } from "./run-table.ts";

export const root = 0;
const rootRun = 0;

export class PositionTree {
  private readonly pages = new PositionPages();
  private readonly branches = new BranchTable((run, parent, low, high) => this.isChild(run, parent, low, high));
  private readonly unpaired = new Map<number, number>();
  private readonly runs = new RunTable();

  constructor() {
    this.makeRun(0, 0, noRun);
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
    return parent < this.runs.base(run) + this.runs.live(run) ? this.grow(run, parent, low, high, wanted) : 0;
  }

  isAttached(position: number): boolean {
    const run = this.pages.runOf(position);
    return position < this.runs.base(run) + this.runs.live(run);
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
    const offset = position - this.runs.base(run);
    if (offset < this.runs.live(run)) this.cut(run, offset);
    this.trim(run);
  }

  /**
   * Follows hashes from the root as far as positions exist.
   *
   * @param query  halves of the hashes, low first
   * @param visit  called with the holders of the first position and whenever they change; depth = positions before it; false ends the walk
   * @returns how many positions were followed, the refused one not counted
   */
  walk(query: Uint32Array, visit: (holders: number, depth: number) => boolean): number {
    const depthMax = query.length / 2;
    let depth = 0;
    let holders = 0;
    for (let position = root; depth < depthMax; ) {
      position = this.childIn(this.pages.runOf(position), position, query[2 * depth]!, query[2 * depth + 1]!);
      if (position === 0) return depth;
      const run = this.pages.runOf(position);
      const end = this.runs.base(run) + this.runs.live(run);
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
    return position === this.runs.base(run) ? this.runs.parent(run) : position - 1;
  }

  /** A number per attached position, parents before children and a path's neighbours together; valid until the tree changes. */
  pathOrder(): (position: number) => number {
    const { runs } = this;
    const order = new Float64Array(runs.limit);
    const stack = [rootRun];
    for (let run = stack.pop(), at = 0; run !== undefined; run = stack.pop(), at += positionsOf(sizeMax)) {
      order[run] = at;
      for (let child = runs.firstChild(run); child !== noRun; child = runs.next(child)) stack.push(child);
    }
    return (position) => {
      const run = this.pages.runOf(position);
      return order[run]! + position - runs.base(run);
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
    return this.runs.count === 1 && this.unpaired.size === 0;
  }

  /** Memory, without what Maps and lists take. */
  get bytes(): number {
    return this.pages.bytes + this.branches.bytes + this.runs.bytes;
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

  /** The child of a position of this run (whether attached or not) that an attached path leads to, or 0. */
  private childIn(run: number, parent: number, low: number, high: number): number {
    const { runs } = this;
    const offset = parent - runs.base(run);
    if (offset + 1 < runs.live(run) && this.hasTokens(parent + 1, low, high)) return parent + 1;
    if ((runs.forks(run) & (1 << offset)) === 0) return 0; // no branch, no need to miss the table's cache line
    const branch = this.branches.find(mix(low, high, parent), parent, low, high);
    return branch === -1 ? 0 : runs.base(branch);
  }

  /** Adds a child to an attached position that has no such child. */
  private grow(run: number, parent: number, low: number, high: number, wanted: number): number {
    const { runs } = this;
    const used = runs.used(run);
    const end = runs.base(run) + used;
    const continues = parent + 1 === end && runs.live(run) === used && run !== rootRun;
    if (continues && used < positionsOf(runs.size(run))) {
      runs.setLive(run, used + 1);
      runs.setUsed(run, used + 1);
      this.setTokens(end, low, high);
      return end;
    }
    return this.branch(run, parent, low, high, Math.max(sizeFor(wanted), continues ? Math.min(runs.size(run) + 1, sizeMax) : 0));
  }

  private isChild(run: number, parent: number, low: number, high: number): boolean {
    return this.runs.parent(run) === parent && this.hasTokens(this.runs.base(run), low, high);
  }

  private branch(parentRun: number, parent: number, low: number, high: number, size: number): number {
    const head = this.pages.take(size);
    const run = this.makeRun(head, size, parent);
    this.setTokens(head, low, high);
    this.branches.add(mix(low, high, parent), run);
    this.adopt(parentRun, run);
    return head;
  }

  private makeRun(base: number, size: number, parent: number): number {
    const run = this.runs.add(base, size, parent);
    this.pages.setRun(base, size, run);
    return run;
  }

  private adopt(parentRun: number, run: number): void {
    const { runs } = this;
    const sibling = runs.firstChild(parentRun);
    runs.setNext(run, sibling);
    runs.setPrevious(run, noRun);
    if (sibling !== noRun) runs.setPrevious(sibling, run);
    runs.setFirstChild(parentRun, run);
    runs.setForks(parentRun, runs.forks(parentRun) | (1 << (runs.parent(run) - runs.base(parentRun))));
  }

  /** Takes a run out of the branch table and from its siblings. */
  private detach(run: number): void {
    const { runs } = this;
    const head = runs.base(run);
    const parent = runs.parent(run);
    const next = runs.next(run);
    const previous = runs.previous(run);
    this.branches.delete(mix(this.tokensLow(head), this.tokensHigh(head), parent), run);
    if (next !== noRun) runs.setPrevious(next, previous);
    if (previous !== noRun) runs.setNext(previous, next);
    else runs.setFirstChild(this.pages.runOf(parent), next);
  }

  /** Cuts off a run from `offset` on, and every run below. */
  private cut(run: number, offset: number): void {
    if (offset === 0) this.detach(run);
    const cutRuns = [run];
    for (let from = offset, at = cutRuns.pop(); at !== undefined; from = 0, at = cutRuns.pop()) {
      this.runs.setLive(at, from);
      for (const child of this.childrenFrom(at, from)) {
        this.detach(child);
        cutRuns.push(child);
      }
      if (at !== run) this.trim(at);
    }
  }

  /** Runs that branch off at `offset` or later; corrects `forks`, which remembers branches that have gone. */
  private childrenFrom(run: number, offset: number): number[] {
    const { runs } = this;
    const later = -1 << offset;
    const forks = runs.forks(run);
    if ((forks & later) === 0) return [];
    const children: number[] = [];
    for (let child = runs.firstChild(run); child !== noRun; child = runs.next(child)) {
      if (runs.parent(child) - runs.base(run) >= offset) children.push(child);
    }
    runs.setForks(run, forks & ~later);
    return children;
  }

  private trim(run: number): void {
    const { runs } = this;
    const base = runs.base(run);
    const live = runs.live(run);
    let used = runs.used(run);
    while (used > live && this.isUnused(base + used - 1)) used--;
    runs.setUsed(run, used);
    if (used !== 0) return;
    this.pages.give(base, runs.size(run));
    runs.remove(run);
  }

  private isUnused(position: number): boolean {
    return this.holders(position) === 0 && !this.unpaired.has(position);
  }
}
