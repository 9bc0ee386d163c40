import type { BlockHash, ExternalHash, ImageDialect, RouterEvent } from "@mm-router/protocol";
import { describe, expect, it, vi } from "vitest";
import { idOf, keepingLog, workerOfRelease } from "../testing.ts";
import type { PublishedEventsListener } from "./published-events.ts";
import type { DialectPins } from "./image-dialects.ts";
import { Sentinel } from "./sentinel.ts";

const worker = workerOfRelease("1.6.1", 1);
const other = workerOfRelease("1.6.1", 2);
const intervalMs = 10_000;
const graceMs = 1_000;

function stored(n: number, ...hashes: bigint[]): RouterEvent {
  const blocks = hashes.map((hash) => ({ block_hash: (hash + 1_000n) as ExternalHash, tokens_hash: hash as BlockHash }));
  return { worker_id: idOf(n), event: { event_id: 1n, dp_rank: 0, data: { stored: { parent_hash: null, blocks } } } };
}

function watching(dialects?: DialectPins) {
  vi.useFakeTimers();
  const log = keepingLog();
  const listeners = new Set<PublishedEventsListener>();
  const live = new Set([idOf(1), idOf(2)]);
  const sentinel = new Sentinel(
    { intervalMs, graceMs },
    {
      events: {
        listen: (listener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
      isLive: (id) => live.has(id),
      dialects,
      clock: { now: () => Date.now() },
      log,
    },
  );
  const publish = (event: RouterEvent) => listeners.forEach((listener) => listener.event(event));
  let next = 100n;
  /** One request on a worker, whose rank publishes what was predicted, or something else. */
  const request = (kind: "exact" | "different" | "unseen", on = worker) => {
    const predicted = BigUint64Array.of(next++, next++);
    sentinel.sent(predicted);
    const ended = sentinel.watch({ worker: on, rank: on.ranks[0]!, predicted, overlapBlocks: 0 });
    const id = on === worker ? 1 : 2;
    if (kind === "exact") publish(stored(id, ...predicted));
    if (kind === "different") publish(stored(id, predicted[0]!, 7n));
    ended?.(true);
    vi.advanceTimersByTime(graceMs);
    return { predicted, watched: ended !== undefined };
  };
  const warnings = () => log.lines.filter(({ level }) => level === "warn");
  const counts = () =>
    Object.fromEntries(
      sentinel.tallies().map(({ labels, value }) => [`${labels.worker_id === `${idOf(1)}` ? 1 : 2} ${labels.verdict}`, value]),
    );
  return { sentinel, log, listeners, live, publish, request, warnings, counts };
}

describe("Sentinel", () => {
  it("believes no images of a worker that differs, says once which block, and believes it again after three exact ones", () => {
    const { sentinel, request, warnings, log } = watching();
    request("exact");
    expect(sentinel.isTrusted(idOf(1))).toBe(true);
    const { predicted } = request("different");
    expect(sentinel.isTrusted(idOf(1))).toBe(false);
    expect(sentinel.isTrusted(idOf(2))).toBe(true);
    request("different");
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]!.facts).toMatchObject({ block: 1, predicted: predicted[1], published: 7n, image_dialect: "pad", release: "1.6" });
    expect(sentinel.distrusted).toBe(1);
    for (let n = 0; n < 3; n++) request("exact");
    expect(sentinel.isTrusted(idOf(1))).toBe(true);
    expect(log.lines.filter(({ level }) => level === "info")).toHaveLength(1);
  });

  it("counts per worker what it saw", () => {
    const { request, counts } = watching();
    for (const kind of ["exact", "different", "unseen", "unseen"] as const) request(kind);
    request("exact", other);
    expect(counts()).toEqual({ "1 exact": 1, "1 different": 1, "1 unseen": 2, "2 exact": 1, "2 different": 0, "2 unseen": 0 });
  });

  it("looks at a settled worker once per interval, at the others each time", () => {
    const { request } = watching();
    expect([1, 2, 3].map(() => request("exact").watched)).toEqual([true, true, true]);
    expect(request("exact").watched).toBe(false);
    expect(request("exact", other).watched).toBe(true);
    vi.advanceTimersByTime(intervalMs);
    expect(request("exact").watched).toBe(true);
    expect(request("exact").watched).toBe(false);
  });

  it("listens while a check is open, and not otherwise", () => {
    const { sentinel, listeners, request } = watching();
    const ended = sentinel.watch({ worker, rank: worker.ranks[0]!, predicted: BigUint64Array.of(1n), overlapBlocks: 0 });
    expect(listeners.size).toBe(1);
    request("exact");
    expect(listeners.size).toBe(1);
    ended!(true);
    vi.advanceTimersByTime(graceMs);
    expect(listeners.size).toBe(0);
  });

  it("judges nothing that ended without tokens, nothing held already, and nothing while events may be missing", () => {
    const { sentinel, listeners, publish, counts } = watching();
    const begin = (first: bigint, overlapBlocks = 0) =>
      sentinel.watch({ worker, rank: worker.ranks[0]!, predicted: BigUint64Array.of(first, first + 1n), overlapBlocks });
    begin(1n)!(false);
    expect(begin(3n, 2)).toBeUndefined();
    const ended = begin(5n)!;
    publish(stored(1, 5n, 9n));
    for (const listener of listeners) listener.lost?.("overflow");
    ended(true);
    vi.advanceTimersByTime(graceMs);
    expect(counts()).toEqual({ "1 exact": 0, "1 different": 0, "1 unseen": 0 });
  });

  it("takes a block for no stranger that another request brought, and one published a moment before as its own", () => {
    const { sentinel, publish, counts } = watching();
    const rank = worker.ranks[0]!;
    const begin = (...hashes: bigint[]) => {
      const predicted = BigUint64Array.from(hashes);
      sentinel.sent(predicted);
      return sentinel.watch({ worker, rank, predicted, overlapBlocks: 0 })!;
    };
    const first = begin(1n, 2n);
    const text = begin(1n, 3n);
    publish(stored(1, 1n, 3n));
    const later = begin(1n, 3n);
    for (const ended of [first, text, later]) ended(true);
    vi.advanceTimersByTime(graceMs);
    expect(counts()).toEqual({ "1 exact": 2, "1 different": 0, "1 unseen": 1 });
  });

  it("forgets a worker that is gone", () => {
    const { sentinel, live, request, counts } = watching();
    request("different");
    live.delete(idOf(1));
    expect(sentinel.distrusted).toBe(0);
    expect(counts()).toEqual({});
  });

  describe("of a worker that uses another dialect than its card promised", () => {
    const asPad = BigUint64Array.of(1n, 2n, 3n);
    const asInVocab = BigUint64Array.of(1n, 20n, 30n);
    const predictAs = async (dialect: ImageDialect) => (dialect === "in-vocab" ? asInVocab : undefined);

    /** A request predicted as pads, of which other blocks are published. */
    async function differing(published: readonly bigint[], pinned = new Map<bigint, ImageDialect>()) {
      const dialects = {
        get: (id: bigint) => ({ ...worker, imageDialect: pinned.get(id) ?? worker.imageDialect }),
        pin: (id: bigint, dialect: ImageDialect) => void pinned.set(id, dialect),
      };
      const world = watching(dialects);
      const ended = world.sentinel.watch({ worker, rank: worker.ranks[0]!, predicted: asPad, overlapBlocks: 0, predictAs });
      world.publish(stored(1, ...published));
      ended?.(true);
      await vi.advanceTimersByTimeAsync(graceMs);
      return { ...world, pinned };
    }

    it("takes the dialect whose block was published, and goes on believing", async () => {
      const { pinned, sentinel, warnings } = await differing([1n, 20n, 30n]);
      expect([...pinned]).toEqual([[worker.instanceId, "in-vocab"]]);
      expect([sentinel.isTrusted(worker.instanceId), warnings()]).toEqual([true, []]);
    });

    it("believes no more when it is no dialect's block", async () => {
      const { pinned, sentinel } = await differing([1n, 21n, 31n]);
      expect([pinned.size, sentinel.isTrusted(worker.instanceId)]).toEqual([0, false]);
    });

    it("does not judge by what was predicted before the dialect was learnt", async () => {
      const { sentinel } = await differing([1n, 21n, 31n], new Map([[worker.instanceId, "in-vocab"]]));
      expect(sentinel.isTrusted(worker.instanceId)).toBe(true);
    });
  });
});
