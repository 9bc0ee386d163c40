import { type KvIndex, RadixTree } from "@mm-router/kv";
import { NaiveIndex } from "@mm-router/kv/testing";
import type { BlockHash, ExternalHash, InstanceId, KvEventData, RouterEvent, U64, WorkerKey } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EventOutcome } from "./metrics.ts";
import { RankFollower } from "./rank-follower.ts";
import type { Recovered } from "./recovery.ts";

const worker: WorkerKey = { workerId: (2n ** 62n) as InstanceId, dpRank: 3 };

/** A rank of a worker: numbers its events, keeps the last `ring` of them, and knows what it holds. */
class Rank {
  readonly index = new NaiveIndex();
  readonly events: RouterEvent[] = [];
  readonly #ring: number;
  readonly #first: bigint;

  constructor(options: { ring?: number; first?: bigint } = {}) {
    this.#ring = options.ring ?? 1_000;
    this.#first = options.first ?? 1n;
  }

  /** Stores a path; a block is named by what leads to it. */
  store(path: readonly bigint[]): RouterEvent {
    const blocks = path.map((tokens, depth) => ({ block_hash: nameOf(path, depth + 1) as ExternalHash, tokens_hash: tokens as BlockHash }));
    return this.#tell({ stored: { parent_hash: null, blocks } });
  }

  remove(path: readonly bigint[]): RouterEvent {
    return this.#tell({ removed: { block_hashes: [nameOf(path, path.length) as ExternalHash] } });
  }

  /** What a worker of ≥ 1.2 answers. */
  answer(start: U64 | null): Recovered {
    const newest = this.#first + BigInt(this.events.length) - 1n;
    if (start === newest + 1n) return { kind: "nothing_new" };
    const from = start === null ? -1 : Number(start - this.#first);
    if (from >= 0 && from >= this.events.length - this.#ring) return { kind: "events", events: this.events.slice(from), cursor: newest };
    return { kind: "dump", events: [...this.index.dump()], cursor: newest };
  }

  #tell(data: KvEventData): RouterEvent {
    const event_id = this.#first + BigInt(this.events.length);
    const event = { worker_id: worker.workerId, event: { event_id, data, dp_rank: worker.dpRank } };
    this.events.push(event);
    this.index.apply(event);
    return event;
  }
}

const nameOf = (path: readonly bigint[], depth: number) => path.slice(0, depth).reduce((name, tokens) => name * 5n + tokens, 1n);

/** A follower whose questions wait until the test answers them. */
function following(options: { canAsk?: () => boolean; eventIdsStartAt?: number | undefined } = {}) {
  const index = new RadixTree();
  const outcomes: EventOutcome[] = [];
  const asked: (U64 | null)[] = [];
  const { canAsk = () => true } = options;
  const eventIdsStartAt = "eventIdsStartAt" in options ? options.eventIdsStartAt : 1;
  const follower = new RankFollower(worker, () => ({ eventIdsStartAt, clearedScope: "rank" }), {
    index,
    count: (outcome) => outcomes.push(outcome),
    recover: (start) => {
      if (canAsk()) asked.push(start);
      return canAsk();
    },
  });
  const accept = (...events: RouterEvent[]) => {
    for (const event of events) follower.accept(event, undefined);
  };
  return { follower, index, outcomes, asked, accept };
}

function contentOf(index: KvIndex): string[] {
  return [...index.dump(worker)]
    .flatMap(({ event: { data } }) => {
      if (data === "cleared" || !("stored" in data)) return [];
      return data.stored.blocks.map(({ block_hash, tokens_hash }) => `${block_hash}:${tokens_hash}`);
    })
    .sort();
}

describe("RankFollower", () => {
  it("asks nothing when it sees a rank from its very first event on", () => {
    const rank = new Rank();
    const { accept, asked, index, follower } = following();
    accept(rank.store([1n, 2n]), rank.store([1n, 3n]), rank.remove([1n, 2n]));
    expect(asked).toEqual([]);
    expect(follower.isComplete).toBe(true);
    expect(contentOf(index)).toEqual(contentOf(rank.index));
  });

  it("asks for everything when the first event it sees is not the first one", () => {
    const rank = new Rank();
    rank.store([1n, 2n]);
    const { accept, asked, index, follower } = following();
    accept(rank.store([1n, 3n]));
    expect(asked).toEqual([null]);
    accept(rank.store([4n]));
    follower.recovered(rank.answer(null));
    expect(contentOf(index)).toEqual(contentOf(rank.index));
    expect(follower.lastEventId).toBe(3n);
  });

  it("asks for what a gap hides, keeps what comes meanwhile, and drops what comes twice", () => {
    const rank = new Rank();
    const { accept, asked, index, outcomes, follower } = following();
    accept(rank.store([1n]));
    rank.store([2n]);
    const third = rank.store([3n]);
    accept(third);
    expect(asked).toEqual([2n]);
    follower.recovered(rank.answer(2n));
    accept(third, rank.store([4n]));
    expect(contentOf(index)).toEqual(contentOf(rank.index));
    expect(outcomes.filter((outcome) => outcome === "duplicate")).toHaveLength(2);
  });

  it("drops a rank's blocks when something is missing and nobody can tell what", () => {
    const rank = new Rank();
    const { accept, index } = following({ canAsk: () => false });
    accept(rank.store([1n, 2n]));
    rank.remove([1n, 2n]);
    accept(rank.store([4n]));
    expect(contentOf(index)).toEqual(["9:4"]);
  });

  it("drops a rank's blocks when the worker does not answer, and goes on with the events that waited", () => {
    const rank = new Rank();
    let canAsk = true;
    const { accept, index, follower } = following({ canAsk: () => canAsk });
    accept(rank.store([1n]));
    rank.remove([1n]);
    accept(rank.store([2n]), rank.store([3n]));
    canAsk = false;
    follower.failed();
    accept(rank.store([4n]));
    expect(contentOf(index)).toEqual(["7:2", "8:3", "9:4"]);
    canAsk = true;
    follower.complete();
    follower.recovered(rank.answer(null));
    expect(contentOf(index)).toEqual(contentOf(rank.index));
  });

  it("takes jumping ids for what they are where the engine numbers the events", () => {
    const { accept, asked, index } = following({ eventIdsStartAt: undefined, canAsk: () => false });
    const rank = new Rank({ first: 1n });
    const [first, , third] = [rank.store([1n]), rank.store([2n]), rank.store([3n])];
    accept(first, third);
    expect(asked).toEqual([]);
    expect(contentOf(index)).toEqual(["6:1", "8:3"]);
  });

  it("asks anew when another publisher speaks for the rank", () => {
    const before = new Rank();
    const after = new Rank();
    const { follower, asked, index } = following();
    follower.accept(before.store([1n, 2n]), 7n);
    after.store([3n]);
    follower.accept(after.store([4n]), 8n);
    expect(asked).toEqual([null]);
    expect(contentOf(index)).toEqual([]);
    follower.recovered(after.answer(null));
    expect(contentOf(index)).toEqual(contentOf(after.index));
  });

  it("asks for what came last when messages may have been lost", () => {
    const rank = new Rank();
    const { accept, asked, index, follower } = following();
    accept(rank.store([1n]));
    rank.store([2n]);
    follower.doubt();
    expect(asked).toEqual([2n]);
    follower.recovered(rank.answer(2n));
    follower.doubt();
    follower.recovered(rank.answer(3n));
    expect(asked).toEqual([2n, 3n]);
    expect(contentOf(index)).toEqual(contentOf(rank.index));
  });

  it("gives up on a gap that the worker's answers do not close, and keeps nothing from before it", () => {
    const rank = new Rank();
    const { accept, asked, index, follower } = following();
    accept(rank.store([1n]));
    const answer = rank.answer(null);
    for (let i = 0; i < 5; i++) rank.store([2n]);
    accept(rank.store([3n]));
    follower.recovered({ kind: "nothing_new" });
    follower.recovered(answer);
    expect(asked).toEqual([2n, null]);
    expect(contentOf(index)).toEqual(["8:3"]);
  });

  it("holds what the worker holds in the end, whatever was lost, repeated, and whenever answers came", () => {
    const path = fc.array(fc.bigInt(1n, 4n), { minLength: 1, maxLength: 5 });
    const fate = fc.constantFrom("given", "given", "given", "lost", "twice", "old");
    const step = fc.tuple(fc.boolean(), path, fate, fc.nat(3), fc.nat(20));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 30 }), fc.boolean(), (steps, ring, isTold) => {
        const rank = new Rank({ ring });
        const { accept, asked, index, follower } = following();
        const answerOne = () => {
          const start = asked.shift();
          if (start !== undefined) follower.recovered(rank.answer(start));
        };
        for (const [stores, each, what, doubts, pick] of steps) {
          const event = stores ? rank.store(each) : rank.remove(each);
          if (what !== "lost") accept(event);
          if (what === "twice") accept(event);
          if (what === "old") accept(rank.events[pick % rank.events.length]!);
          if (what === "lost" && doubts === 0) follower.doubt();
          if (doubts === 1) answerOne();
        }
        if (isTold) follower.doubt();
        else accept(rank.store([1n]));
        while (asked.length > 0) answerOne();
        expect(follower.isRecovering).toBe(false);
        expect(contentOf(index)).toEqual(contentOf(rank.index));
      }),
      { numRuns: 500 },
    );
  });
});
