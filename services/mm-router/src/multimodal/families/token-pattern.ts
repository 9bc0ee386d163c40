// A layout in short: repeated groups of runs are written once.
//
//   [IMG]×3 [BREAK] [IMG]×3 [BREAK] [IMG]×3 [END]   →   [[2, [[IMG, 3], [BREAK, 1]]], [1, [[IMG, 3], [END, 1]]]]
//
// Expanding the groups in order gives the runs back. The form is that of multimodal/image_tokens.json.
import type { TokenRun } from "./family.ts";

/** `[repeat, [[token, n], …]]`, in order. */
export type TokenPattern = [repeat: number, group: [token: string, count: number][]][];

/** A row of tiles is the longest group that models repeat; the bound keeps the search short. */
const groupRunsMax = 64;

export function tokenPattern(runs: readonly TokenRun[]): TokenPattern {
  const pattern: TokenPattern = [];
  let at = 0;
  while (at < runs.length) {
    const { period, repeat } = longestRepeat(runs, at);
    const group = runs.slice(at, at + period).map((run): [string, number] => [run.token, run.count]);
    const last = pattern.at(-1);
    if (repeat === 1 && last?.[0] === 1) last[1].push(...group);
    else pattern.push([repeat, group]);
    at += period * repeat;
  }
  return pattern;
}

/** The repetition starting at `at` that covers most runs, the shortest period among equals; `{1, 1}` when nothing repeats. */
function longestRepeat(runs: readonly TokenRun[], at: number): { period: number; repeat: number } {
  let best = { period: 1, repeat: 1 };
  const periodMax = Math.min(groupRunsMax, Math.floor((runs.length - at) / 2));
  for (let period = 2; period <= periodMax; period++) {
    const repeat = repeatsOf(runs, at, period);
    if (repeat > 1 && period * repeat > best.period * best.repeat) best = { period, repeat };
  }
  return best;
}

function repeatsOf(runs: readonly TokenRun[], at: number, period: number): number {
  let end = at + period;
  while (end < runs.length && isSameRun(runs[end], runs[end - period])) end++;
  return Math.floor((end - at) / period);
}

function isSameRun(a: TokenRun | undefined, b: TokenRun | undefined): boolean {
  return a !== undefined && b !== undefined && a.token === b.token && a.count === b.count;
}
