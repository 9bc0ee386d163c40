import { describe, expect, it } from "vitest";
import { atOnce, forEachOf, inTurns, type Steps } from "./steps.ts";

function* counted(members: number, said: number[]): Steps<string> {
  yield* forEachOf(
    Array.from({ length: members }, (_, index) => index),
    (member) => said.push(member),
  );
  return "done";
}

/** Takes as long as a turn may, so that others must have had theirs between any two steps. */
function* slow(steps: number, others: () => number): Steps<number[]> {
  const seen: number[] = [];
  for (let step = 0; step < steps; step++) {
    const until = performance.now() + 20;
    while (performance.now() < until);
    seen.push(others());
    yield;
  }
  return seen;
}

describe("steps", () => {
  it("do all of the work, at once or in turns", async () => {
    for (const run of [atOnce, inTurns]) {
      const said: number[] = [];
      expect(await run(counted(3000, said))).toBe("done");
      expect(said).toEqual(Array.from({ length: 3000 }, (_, index) => index));
    }
  });

  it("in turns let the event loop go round between long ones", async () => {
    let turns = 0;
    let running = true;
    const count = () => {
      turns++;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    const seen = await inTurns(slow(5, () => turns));
    running = false;
    expect(new Set(seen).size).toBe(5);
  });

  it("in turns fail as they do at once", async () => {
    function* failing(): Steps<never> {
      yield;
      throw new Error("no");
    }
    await expect(inTurns(failing())).rejects.toThrow("no");
    expect(() => atOnce(failing())).toThrow("no");
  });
});
