import { describe, expect, it } from "vitest";
import { differingSteps, kvIndexSuite } from "./kv-index.suite.ts";
import { NaiveIndex, type Position, type Rank } from "./naive-index.ts";

describe("NaiveIndex", () => kvIndexSuite(() => new NaiveIndex()));

/** Rule I4 removed. */
class NeverForgetting extends NaiveIndex {
  protected override forget(): void {}
}

/** Rule I5 turned around: what lies below a hole is gone for good. */
class DroppingDescendants extends NaiveIndex {
  protected override leave(rank: Rank, at: Position): void {
    super.leave(rank, at);
    for (const child of at.children.values()) if (child.ranks.has(rank)) this.leave(rank, child);
  }
}

describe("the real answers", () => {
  it("show the difference when positions are never forgotten", () => {
    expect(differingSteps(() => new NeverForgetting()).wrong.length).toBe(6);
  });

  it("show the difference when descendants go with a removed block", () => {
    expect(differingSteps(() => new DroppingDescendants()).wrong.length).toBe(1);
  });
});
