// Byte pair encoding: merges the pair of lowest rank, leftmost first, until none is left.
//
//   [h, e, l, l, o] → [he, l, l, o] → [he, ll, o] → [he, llo] → [hello]
//
// Short words are scanned anew after each merge; long ones keep their pairs in a heap (n log n).
import { type MergeTable, noRank } from "./merge-table.ts";

/** Symbols up to which scanning is faster than a heap; measured on words of 16 to 1024 bytes. */
const scanMax = 128;

/** Merges `symbols` in place. */
export function mergePairs(symbols: number[], table: MergeTable): void {
  if (symbols.length > scanMax) return mergeByHeap(symbols, table);
  const ranks: number[] = [];
  for (let i = 0; i + 1 < symbols.length; i++) ranks.push(table.rank(symbols[i] as number, symbols[i + 1] as number));
  for (let best = lowest(ranks); best >= 0; best = lowest(ranks)) {
    symbols[best] = table.merged(ranks[best] as number);
    symbols.splice(best + 1, 1);
    ranks.splice(best, 1);
    if (best > 0) ranks[best - 1] = table.rank(symbols[best - 1] as number, symbols[best] as number);
    if (best < ranks.length) ranks[best] = table.rank(symbols[best] as number, symbols[best + 1] as number);
  }
}

/** Index of the first lowest rank; −1 when no pair merges. */
function lowest(ranks: readonly number[]): number {
  let best = -1;
  let rank = noRank;
  for (let i = 0; i < ranks.length; i++) {
    if ((ranks[i] as number) < rank) {
      rank = ranks[i] as number;
      best = i;
    }
  }
  return best;
}

/** Rank and position in one number: rank · 2^32 + position, exact below 2^53. */
const positions = 2 ** 32;

function mergeByHeap(symbols: number[], table: MergeTable): void {
  const count = symbols.length;
  const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
  const next = Int32Array.from({ length: count }, (_, i) => (i + 1 < count ? i + 1 : -1));
  const heap = new NumberHeap();
  const rankAt = (at: number) =>
    (next[at] as number) < 0 ? noRank : table.rank(symbols[at] as number, symbols[next[at] as number] as number);
  const offer = (at: number) => {
    const rank = rankAt(at);
    if (rank !== noRank) heap.push(rank * positions + at);
  };
  for (let at = 0; at + 1 < count; at++) offer(at);
  for (let lowestPair = heap.pop(); lowestPair !== undefined; lowestPair = heap.pop()) {
    const at = lowestPair % positions;
    const rank = Math.floor(lowestPair / positions);
    // A pair that has changed since it was offered was offered again.
    if (symbols[at] === removed || rankAt(at) !== rank) continue;
    const right = next[at] as number;
    symbols[at] = table.merged(rank);
    symbols[right] = removed;
    next[at] = next[right] as number;
    if ((next[at] as number) >= 0) previous[next[at] as number] = at;
    offer(at);
    if ((previous[at] as number) >= 0) offer(previous[at] as number);
  }
  compact(symbols);
}

const removed = -1;

function compact(symbols: number[]): void {
  let end = 0;
  for (const symbol of symbols) if (symbol !== removed) symbols[end++] = symbol;
  symbols.length = end;
}

/** A binary heap, lowest first. */
class NumberHeap {
  readonly #values: number[] = [];

  push(value: number): void {
    const values = this.#values;
    let at = values.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((values[parent] as number) <= value) break;
      values[at] = values[parent] as number;
      at = parent;
    }
    values[at] = value;
  }

  pop(): number | undefined {
    const values = this.#values;
    const lowestValue = values[0];
    const last = values.pop();
    if (last === undefined || values.length === 0) return lowestValue;
    let at = 0;
    for (let child = 1; child < values.length; child = at * 2 + 1) {
      if (child + 1 < values.length && (values[child + 1] as number) < (values[child] as number)) child++;
      if ((values[child] as number) >= last) break;
      values[at] = values[child] as number;
      at = child;
    }
    values[at] = last;
    return lowestValue;
  }
}
