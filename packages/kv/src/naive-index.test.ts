// The oracle, and what the recorded answers are worth: an index that breaks one rule of the contract gives others.
import type { ExternalHash, InstanceId, RouterEvent } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import type { ApplyOutcome, ClearedScope } from "./kv-index.ts";
import { kvIndexSuite } from "./kv-index.suite.ts";
import { NaiveIndex, type Position, type Rank } from "./naive-index.ts";
import type { OverlapScores } from "./overlap.ts";
import { differingByRelease, differingOutcomes, differingSteps } from "./recorded-answers.suite.ts";

describe("NaiveIndex", () => kvIndexSuite(() => new NaiveIndex()));

class ParentOfAnyRank extends NaiveIndex {
  protected override parent(rank: Rank, hash: ExternalHash): Position | undefined {
    return super.parent(rank, hash) ?? [...this.ranks.values()].map(({ positions }) => positions.get(hash)).find(Boolean);
  }
}

class StoringWithoutParent extends NaiveIndex {
  override apply(event: RouterEvent, scope?: ClearedScope): ApplyOutcome {
    const outcome = super.apply(event, scope);
    const { data } = event.event;
    if (outcome !== "parent_not_found" || data === "cleared" || !("stored" in data)) return outcome;
    const stored = { ...data.stored, parent_hash: null };
    return super.apply({ ...event, event: { ...event.event, data: { stored } } }, scope);
  }
}

class NeverReusing extends NaiveIndex {
  protected override child(): undefined {}
}

class NeverRemoving extends NaiveIndex {
  override apply(event: RouterEvent, scope?: ClearedScope): ApplyOutcome {
    const { data } = event.event;
    return data !== "cleared" && "removed" in data ? "applied" : super.apply(event, scope);
  }
}

class StoppingAtTheFirstUnknown extends NaiveIndex {
  override apply(event: RouterEvent, scope?: ClearedScope): ApplyOutcome {
    const { data } = event.event;
    if (data === "cleared" || !("removed" in data)) return super.apply(event, scope);
    for (const hash of data.removed.block_hashes) {
      const one = { ...event, event: { ...event.event, data: { removed: { block_hashes: [hash] } } } };
      if (super.apply(one, scope) !== "applied") return "block_not_found";
    }
    return "applied";
  }
}

class DeafToCleared extends NaiveIndex {
  override apply(event: RouterEvent, scope?: ClearedScope): ApplyOutcome {
    return event.event.data === "cleared" ? "applied" : super.apply(event, scope);
  }
}

class ClearingTheOtherScope extends NaiveIndex {
  override apply(event: RouterEvent, scope: ClearedScope = "rank"): ApplyOutcome {
    return super.apply(event, scope === "rank" ? "worker" : "rank");
  }
}

class RemovingOneRankOfAWorker extends NaiveIndex {
  override removeWorker(workerId: InstanceId): void {
    this.removeRank({ workerId, dpRank: 0 });
  }
}

class NeverForgetting extends NaiveIndex {
  protected override forget(): void {}
}

class DroppingDescendants extends NaiveIndex {
  protected override leave(rank: Rank, at: Position): void {
    super.leave(rank, at);
    for (const child of at.children.values()) if (child.ranks.has(rank)) this.leave(rank, child);
  }
}

class CountingOverHoles extends NaiveIndex {
  protected override goesOn(): boolean {
    return true;
  }
}

class TellingZeros extends NaiveIndex {
  override findMatches(hashes: BigUint64Array): OverlapScores {
    const scores = super.findMatches(hashes);
    const told = new Set(scores.map(({ worker: { workerId, dpRank } }) => `${workerId} ${dpRank}`));
    const silent = [...this.ranks.values()].filter(({ worker: { workerId, dpRank } }) => !told.has(`${workerId} ${dpRank}`));
    return [...scores, ...silent.map(({ worker }) => ({ worker, blocks: 0 }))];
  }
}

describe("the recorded answers find an index out that breaks one rule:", () => {
  it.each<[string, new () => NaiveIndex]>([
    ["a parent is one of the rank's own blocks", ParentOfAnyRank],
    ["an event without its parent is ignored", StoringWithoutParent],
    ["what is there already is used again", NeverReusing],
    ["removed blocks are held no more", NeverRemoving],
    ["an unknown block stops no removal", StoppingAtTheFirstUnknown],
    ["cleared empties", DeafToCleared],
    ["a worker goes with all its ranks", RemovingOneRankOfAWorker],
    ["a position that nobody holds is forgotten", NeverForgetting],
    ["what lies below a hole counts again when it is filled", DroppingDescendants],
    ["a hole ends the count", CountingOverHoles],
    ["a rank with nothing is not named", TellingZeros],
    ["cleared has the release's scope", ClearingTheOtherScope],
  ])("%s", (_rule, Broken) => {
    const make = (): NaiveIndex => new Broken();
    expect([differingSteps, differingByRelease, differingOutcomes].flatMap((differing) => differing(make).wrong)).not.toEqual([]);
  });
});
