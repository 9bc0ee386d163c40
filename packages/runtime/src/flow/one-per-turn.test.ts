import { describe, expect, it } from "vitest";
import { onePerTurn } from "./one-per-turn.ts";

describe("onePerTurn", () => {
  it("lets others run between any two pieces, and makes a piece only when it is asked for", async () => {
    const seen: string[] = [];
    function* pieces() {
      for (const piece of ["a", "b", "c"]) {
        seen.push(`made ${piece}`);
        yield piece;
      }
    }
    for await (const piece of onePerTurn(pieces())) {
      seen.push(`had ${piece}`);
      setImmediate(() => seen.push("other"));
      if (piece === "b") break;
    }
    expect(seen).toEqual(["made a", "had a", "made b", "other", "had b"]);
  });
});
