import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergePairs } from "./byte-pairs.ts";
import { atOnce } from "../steps.ts";
import { MergeTable } from "./merge-table.ts";

/** Single letters, then what each merge makes. */
function modelOf(merges: readonly string[]) {
  const vocabulary = new Map([..."abc", ...merges.map((merge) => merge.replace(" ", ""))].map((token, id) => [token, id]));
  return { vocabulary, table: atOnce(MergeTable.of(merges, vocabulary)) };
}

/** The definition: the lowest rank anywhere, leftmost first. */
function merged(tokens: readonly string[], merges: readonly string[]): string[] {
  const pairs = tokens.slice(1).map((token, index) => merges.indexOf(`${tokens[index]} ${token}`));
  const best = Math.min(...pairs.filter((rank) => rank >= 0));
  if (!Number.isFinite(best)) return [...tokens];
  const at = pairs.indexOf(best);
  return merged([...tokens.slice(0, at), `${tokens[at]}${tokens[at + 1]}`, ...tokens.slice(at + 2)], merges);
}

describe("byte pair encoding", () => {
  it("merges by rank, leftmost first, in short and in long words", () => {
    const rank = fc.uniqueArray(fc.constantFrom("a b", "b c", "a a", "ab c", "a bc", "aa a", "aa aa", "abc abc", "c a"), { minLength: 1 });
    const word = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 300 }); // scanned up to 128, with a heap beyond
    fc.assert(
      fc.property(rank, word, (given, letters) => {
        const parts = new Set("abc");
        const merges = given.filter((merge) => {
          const [left, right] = merge.split(" ") as [string, string];
          const isPossible = parts.has(left) && parts.has(right);
          if (isPossible) parts.add(left + right);
          return isPossible;
        });
        const { vocabulary, table } = modelOf(merges);
        const ids = letters.map((letter) => vocabulary.get(letter)!);
        mergePairs(ids, table);
        expect(ids).toEqual(merged(letters, merges).map((token) => vocabulary.get(token)));
      }),
      { numRuns: 300 },
    );
  });

  it("refuses a merge of tokens that the vocabulary lacks", () => {
    expect(() => atOnce(MergeTable.of(["a x"], new Map([["a", 0]])))).toThrow(expect.objectContaining({ code: "configuration" }));
  });
});
