// The recorded streams are played in http/stops.test.ts; here, what holds for any text.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopJail } from "./stop-jail.ts";

interface Played {
  readonly deltas: string[];
  readonly stopped: string | undefined;
}

function play(stops: readonly string[], pieces: readonly string[], includeStop = false): Played {
  const jail = new StopJail({ stops, includeStop });
  const deltas: string[] = [];
  for (const piece of pieces) {
    const { text, stopped } = jail.push(piece);
    deltas.push(text);
    if (stopped !== undefined) return { deltas, stopped };
  }
  return { deltas: [...deltas, jail.flush()], stopped: undefined };
}

describe("a stop jail", () => {
  it.each([
    ["a stop string in pieces", ["STOP"], ["x S", "T", "OP y"], ["x ", "", ""], "STOP"],
    ["the beginning of one that is none", ["STOP"], ["x S", "T", "AY"], ["x ", "", "STAY", ""], undefined],
    ["a beginning inside a beginning", ["aab"], ["aa", "a", "b"], ["", "a", ""], "aab"],
    ["the one that ends first", ["bcd", "c"], ["abcd"], ["ab"], "c"],
    ["of those that end together the longer", ["c", "bc"], ["abc"], ["a"], "bc"],
    ["a held end of the stream", ["STOP"], ["ST"], ["", "ST"], undefined],
    ["no stop strings", [], ["a", "b"], ["a", "b", ""], undefined],
  ])("%s", (_, stops, pieces, deltas, stopped) => {
    expect(play(stops, pieces)).toEqual({ deltas, stopped });
  });

  it("holds nothing back where the stop string is sent too", () => {
    expect(play(["STOP"], ["x S", "T", "OP y"], true)).toEqual({ deltas: ["x S", "T", "OP"], stopped: "STOP" });
  });

  it("gives the same text however it is cut", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 40 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(letters, stops, fc.array(fc.nat(6), { minLength: 1 }), fc.boolean(), (text, given, sizes, includeStop) => {
        const first = firstStop(text, given);
        const expected = first === undefined ? text : text.slice(0, includeStop ? first.end : first.start);
        const { deltas, stopped } = play(given, cutBy(text, sizes), includeStop);
        expect(deltas.join("")).toBe(expected);
        expect(stopped?.length).toBe(first && first.end - first.start);
      }),
      { numRuns: 3_000 },
    );
  });
});

/** As one would find it in the whole text: the earliest end, then the earliest start. */
function firstStop(text: string, stops: readonly string[]): { start: number; end: number } | undefined {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => text.slice(0, end).endsWith(stop)).map((stop) => stop.length);
    if (ending.length > 0) return { start: end - Math.max(...ending), end };
  }
  return undefined;
}

function cutBy(text: string, sizes: readonly number[]): string[] {
  const pieces: string[] = [];
  for (let at = 0, step = 0; at < text.length; step++) {
    const size = sizes[step % sizes.length]! + (step % 2);
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}
