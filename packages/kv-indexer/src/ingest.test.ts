import { RadixTree } from "@mm-router/kv";
import { NaiveIndex } from "@mm-router/kv/testing";
import {
  type BlockHash,
  dialectOf,
  encodeEnvelope,
  encodeRouterEvent,
  encodeRouterEventList,
  type ExternalHash,
  type InstanceId,
  type JsonValue,
  parseJson,
  type RouterEvent,
  routerEventOf,
  type U64,
  type WorkerKey,
} from "@mm-router/protocol";
import { BoundedQueue, createLogger, type EventSource, type EventSourceItem, ManualClock } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Ingest } from "./ingest.ts";
import type { EventOutcome } from "./metrics.ts";
import type { Recovered } from "./recovery.ts";

/** A source that gives what a test puts in. */
class ScriptedSource implements EventSource {
  readonly #queue = new BoundedQueue<EventSourceItem>(100_000);
  #sequence = 0;

  give(...messages: Uint8Array[]): void {
    for (const bytes of messages) this.item({ kind: "message", subject: "s", bytes, sequence: ++this.#sequence });
  }

  item(item: EventSourceItem): void {
    this.#queue.offer(item);
  }

  [Symbol.asyncIterator](): AsyncIterator<EventSourceItem> {
    return this.#queue[Symbol.asyncIterator]();
  }

  close(): void {
    this.#queue.close();
  }
}

interface Options {
  readonly release?: string;
  readonly workers?: Set<InstanceId>;
  readonly recoverable?: WorkerKey[];
}

function ingesting({ release = "1.6.1", workers, recoverable = [] }: Options = {}) {
  const index = new RadixTree();
  const outcomes: EventOutcome[] = [];
  const asked: { worker: WorkerKey; start: U64 | null; answer: PromiseWithResolvers<Recovered> }[] = [];
  const clock = new ManualClock();
  const lines: string[] = [];
  let undecodable = 0;
  const ingest = new Ingest({
    index,
    clock,
    workers: {
      has: (id) => workers === undefined || workers.has(id),
      dialectOf: () => dialectOf(release),
      recoveryTarget: (worker) => recoverable.find(({ workerId, dpRank }) => workerId === worker.workerId && dpRank === worker.dpRank),
      recoverableRanks: () => recoverable,
      ranksOfPublisher: (publisherId) => recoverable.filter(({ workerId }) => publisherId === 100n + workerId),
    },
    ask: (worker, start) => {
      const answer = Promise.withResolvers<Recovered>();
      asked.push({ worker, start, answer });
      return answer.promise;
    },
    replay: { canTell: () => false, ask: () => Promise.reject(new Error("nobody asks")) },
    metrics: {
      event: (outcome, count = 1) => void outcomes.push(...Array.from({ length: count }, () => outcome)),
      undecodable: () => void undecodable++,
      recovery: () => {},
      snapshot: () => {},
      query: () => {},
    },
    log: createLogger({ service: "test", level: "debug", destination: (line) => void lines.push(line) }),
  });
  const source = new ScriptedSource();
  const done = ingest.run(source, () => ingest.caughtUp());
  /** Everything given so far is taken. */
  const taken = async (): Promise<void> => {
    source.close();
    await done;
  };
  return { ingest, index, outcomes, asked, clock, lines, source, taken, undecodable: () => undecodable };
}

const one = { workerId: 1n as InstanceId, dpRank: 0 };

/** An event that stores one block at the root, named like its tokens. */
function stored(id: number, tokens: number, worker: WorkerKey = one): RouterEvent {
  const block = { block_hash: BigInt(tokens) as ExternalHash, tokens_hash: BigInt(tokens) as BlockHash };
  return {
    worker_id: worker.workerId,
    event: { event_id: BigInt(id), data: { stored: { parent_hash: null, blocks: [block] } }, dp_rank: worker.dpRank },
  };
}

function enveloped(payload: Uint8Array): Uint8Array {
  return encodeEnvelope({ publisher_id: 9n, sequence: 0n, published_at: 0n, topic: "kv-events", payload });
}

const message = (...events: RouterEvent[]) => enveloped(encodeRouterEventList(events));

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("Ingest", () => {
  it("applies the recorded messages of every release and plane", async () => {
    interface Run {
      readonly release: string;
      readonly nats_messages?: readonly { hex?: string; text?: string; decoded: unknown }[];
    }
    for (const run of golden<{ runs: Run[] }>("kv/events-wire.json").runs) {
      const messages = run.nats_messages ?? [];
      const { index, source, taken, ingest } = ingesting({ release: run.release });
      const expected = new NaiveIndex();
      const ranks = new Map<number, { publisher: unknown; last: bigint }>();
      for (const { hex, text, decoded } of messages) {
        // The file writes integers as decimal text.
        const message = parseJson(JSON.stringify(decoded).replaceAll(/"(\d+)"/g, "$1")) as {
          publisher_id?: JsonValue;
          payload?: JsonValue;
        };
        const events = [message.payload ?? message].flat().map(routerEventOf);
        const { dp_rank, event_id } = events.at(-1)!.event;
        // Two publishers of the recording share a rank, each counting from the start; a real rank has one.
        const rank = ranks.get(dp_rank) ?? { publisher: message.publisher_id, last: -1n };
        if (rank.publisher !== message.publisher_id || event_id <= rank.last) continue;
        ranks.set(dp_rank, { ...rank, last: event_id });
        source.give(hex === undefined ? Buffer.from(text!) : Buffer.from(hex, "hex"));
        for (const event of events) expected.apply(event, dialectOf(run.release).clearedScope);
      }
      await taken();
      ingest.close();
      expect(index.size, run.release).toEqual(expected.size);
      if (messages.length > 0) expect(index.size.entries, run.release).toBeGreaterThan(0);
    }
  });

  it("takes events of ≥ 1.4 in lists, of ≤ 1.2 one by one, and JSON without an envelope", async () => {
    const { index, source, taken, outcomes } = ingesting();
    source.give(
      message(stored(1, 1), stored(2, 2)),
      enveloped(encodeRouterEvent(stored(3, 3), "msgpack")),
      encodeRouterEvent(stored(4, 4), "json"),
    );
    await taken();
    expect(outcomes).toEqual(["applied", "applied", "applied", "applied"]);
    expect(index.entriesOf(one)).toBe(4);
  });

  it("counts messages that cannot be decoded, complains once a second, and goes on", async () => {
    const { source, taken, undecodable, lines, index } = ingesting();
    for (let i = 0; i < 100; i++) source.give(Buffer.from("junk"));
    source.give(message(stored(1, 1)));
    await taken();
    expect(undecodable()).toBe(100);
    expect(lines).toHaveLength(1);
    expect(index.entriesOf(one)).toBe(1);
  });

  it("does not index other tiers than the device, and misses nothing after them", async () => {
    const { source, taken, outcomes, index } = ingesting();
    source.give(message(stored(1, 1), { ...stored(2, 2), storage_tier: "host_pinned" }, stored(3, 3)));
    await taken();
    expect(outcomes).toEqual(["applied", "other_tier", "applied"]);
    expect(index.entriesOf(one)).toBe(2);
  });

  it("drops what it reads of workers that are gone, and keeps what comes before a registration", async () => {
    const workers = new Set<InstanceId>();
    const { source, ingest, index, taken, outcomes } = ingesting({ workers });
    source.give(message(stored(1, 1)));
    source.item({ kind: "caught_up" });
    source.give(message(stored(1, 2)), message(stored(2, 3)));
    await taken();
    expect(outcomes).toEqual(["foreign"]);
    workers.add(one.workerId);
    ingest.workerCame(one.workerId);
    expect(outcomes).toEqual(["foreign", "applied", "applied"]);
    expect(index.entriesOf(one)).toBe(2);
  });

  it.each([
    ["1.2.1", true],
    ["1.4.2", false],
  ])("knows that a rank of %s was emptied by another rank's event: %s", async (release, isEmptied) => {
    const other = { ...one, dpRank: 1 };
    const { source, ingest, taken } = ingesting({ release });
    source.give(message(stored(1, 1)), message(stored(1, 2, other)));
    source.give(message({ worker_id: one.workerId, event: { event_id: 2n, data: "cleared", dp_rank: 0 } }));
    await taken();
    expect(ingest.stateOf(other)?.epoch !== 0).toBe(isEmptied);
  });

  it("keeps early events for a moment only, and counts them then", async () => {
    const workers = new Set<InstanceId>();
    const { source, ingest, outcomes, clock, taken } = ingesting({ workers });
    source.item({ kind: "caught_up" });
    source.give(message(stored(1, 1)), message(stored(2, 2)));
    await taken();
    expect(outcomes).toEqual([]);
    clock.advance(10_000);
    const again = new ScriptedSource();
    const rerun = ingest.run(again, () => {});
    again.give(message(stored(1, 1, { workerId: 2n as InstanceId, dpRank: 0 })));
    again.close();
    await rerun;
    workers.add(one.workerId);
    ingest.workerCame(one.workerId);
    expect(outcomes).toEqual(["foreign", "foreign"]);
  });

  it("takes nothing of a worker that went, not even an answer that was on its way", async () => {
    const workers = new Set([one.workerId]);
    const { source, ingest, index, asked, taken } = ingesting({ workers, recoverable: [one] });
    source.give(message(stored(7, 1)));
    await taken();
    workers.delete(one.workerId);
    ingest.workerGone(one.workerId);
    asked[0]!.answer.resolve({ kind: "dump", events: [stored(0, 5)], cursor: 7n });
    await ingest.settled();
    expect(index.size).toEqual({ ranks: 0, entries: 0 });
  });

  it("asks every rank once the stored events are read: for what came after them, or for everything", async () => {
    const other = { workerId: 2n as InstanceId, dpRank: 1 };
    const { source, asked, taken } = ingesting({ recoverable: [one, other] });
    source.give(message(stored(1, 1)));
    source.item({ kind: "caught_up" });
    await taken();
    expect(asked.map(({ worker, start }) => ({ worker, start }))).toEqual([
      { worker: one, start: 2n },
      { worker: other, start: null },
    ]);
  });

  it("asks the ranks of a publisher in doubt for what came after the last event, and no others", async () => {
    const other = { workerId: 2n as InstanceId, dpRank: 0 };
    const { source, asked, ingest, taken } = ingesting({ recoverable: [one, other] });
    source.give(message(stored(1, 1)), message(stored(1, 1, other)));
    ingest.doubtPublisher(102n); // all will be asked when the stored events are read
    source.item({ kind: "caught_up" });
    await taken();
    for (const { answer } of asked) answer.resolve({ kind: "nothing_new" });
    await ingest.settled();
    ingest.doubtPublisher(102n);
    expect(asked.map(({ worker, start }) => [worker, start])).toEqual([
      [one, 2n],
      [other, 2n],
      [other, 2n],
    ]);
  });

  it("asks a rank that fell silent, once, whether that was its last event", async () => {
    const { source, asked, taken, clock, index, ingest } = ingesting({ recoverable: [one] });
    source.give(message(stored(1, 1)));
    await taken();
    for (let i = 0; i < 4; i++) {
      clock.advance(5_000);
      await vi.advanceTimersByTimeAsync(5_000);
      asked[0]?.answer.resolve({ kind: "events", events: [stored(2, 2)], cursor: 2n });
    }
    await ingest.settled();
    expect(asked.map(({ start }) => start)).toEqual([2n]);
    expect(index.entriesOf(one)).toBe(2);
    ingest.close();
  });

  it("after a loss doubts the ranks of that source alone, after a reconnect twice", async () => {
    const other = { workerId: 2n as InstanceId, dpRank: 0 };
    const { source, asked, ingest, taken } = ingesting({ recoverable: [one, other] });
    const second = new ScriptedSource();
    const rerun = ingest.run(second, () => {});
    source.give(message(stored(1, 1)));
    second.give(message(stored(1, 1, other)));
    source.item({ kind: "maybe_lost", reason: "reconnected" });
    second.close();
    await taken();
    await rerun;
    expect(asked.map(({ worker }) => worker)).toEqual([one]);
    asked[0]!.answer.resolve({ kind: "nothing_new" });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(asked.map(({ worker, start }) => [worker, start])).toEqual([
      [one, 2n],
      [one, 2n],
    ]);
    ingest.close();
  });

  it.each([
    ["0.9.1", "numbers them by the engine: nothing would ever tell, so its blocks are dropped", 0],
    ["1.2.1", "numbers them itself: the next event tells, so its blocks stay", 1],
  ])("after a reconnect, without anybody to ask, a worker of %s that %s", async (release, _, entries) => {
    const { source, index, ingest, taken } = ingesting({ release });
    source.give(encodeRouterEvent(stored(1, 1), "json"));
    source.item({ kind: "maybe_lost", reason: "reconnected" });
    await taken();
    expect(index.entriesOf(one)).toBe(entries);
    ingest.close();
  });

  it("asks a worker that did not answer again as soon as the connection is back", async () => {
    const { source, asked, index, ingest, taken } = ingesting({ recoverable: [one] });
    source.give(message(stored(5, 1)));
    await vi.advanceTimersByTimeAsync(0);
    asked[0]!.answer.reject(new Error("NATS is away"));
    await ingest.settled();
    source.item({ kind: "maybe_lost", reason: "reconnected" });
    await taken();
    asked[1]!.answer.resolve({ kind: "dump", events: [stored(0, 1), stored(1, 2)], cursor: 5n });
    await ingest.settled();
    expect(index.entriesOf(one)).toBe(2);
    ingest.close();
  });

  it("after a worker did not answer takes its events as they come, and asks it again later", async () => {
    const { source, asked, index, clock, ingest, lines, taken } = ingesting({ recoverable: [one] });
    source.give(message(stored(5, 1)));
    source.item({ kind: "caught_up" });
    await taken();
    asked[0]!.answer.reject(new Error("silent"));
    await ingest.settled();
    expect(index.entriesOf(one)).toBe(1);
    expect(lines.some((line) => line.includes("nobody tells what a rank holds"))).toBe(true);
    ingest.completeRanks();
    expect(asked).toHaveLength(1);
    clock.advance(30_000);
    ingest.completeRanks();
    asked[1]!.answer.resolve({ kind: "dump", events: [stored(0, 1), stored(1, 2)], cursor: 5n });
    await ingest.settled();
    expect(index.entriesOf(one)).toBe(2);
    expect(ingest.statusOf(one.workerId)).toMatchObject([{ state: "live", lastEventId: 5n }]);
    ingest.close();
  });
});
