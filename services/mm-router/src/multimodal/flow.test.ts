// The small machines that keep image work bounded: slots, bytes, shared work, expiring entries, lanes.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundedMap } from "./bounded-map.ts";
import { ByteBudget } from "./byte-budget.ts";
import { DownloadSlots } from "./download-slots.ts";
import { ExpiringCache } from "./expiring-cache.ts";
import { SharedWork } from "./shared-work.ts";

const signal = new AbortController().signal;

/** Lets everything that is ready go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

describe("DownloadSlots", () => {
  it("never exceeds its limits, in all or per host, and gives every slot out again", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("take" as const), host: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constant("give" as const), at: fc.nat(20) }),
      fc.record({ kind: fc.constant("leave" as const), at: fc.nat(20) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const slots = new DownloadSlots({ parallel: 3, parallelPerHost: 2, waitMs: 10_000 });
        const held: { host: string; release: () => void }[] = [];
        const callers: AbortController[] = [];
        const take = (host: string) => {
          const caller = new AbortController();
          callers.push(caller);
          slots.take(host, caller.signal).then(
            (release) => held.push({ host, release }),
            () => {},
          );
        };
        for (const action of steps) {
          if (action.kind === "take") take(action.host);
          else if (action.kind === "give") held.splice(action.at, 1)[0]?.release();
          else callers[action.at]?.abort();
          await settle();
          expect(held.length).toBeLessThanOrEqual(3);
          for (const host of ["a", "b", "c"]) expect(held.filter((slot) => slot.host === host).length).toBeLessThanOrEqual(2);
        }
        for (const caller of callers) caller.abort();
        for (const { release } of held.splice(0)) release();
        await settle();
        for (const { release } of held.splice(0)) release(); // waiters that were let in before they left
        for (const host of ["a", "a", "b"]) take(host);
        await settle();
        expect(held.map(({ host }) => host)).toEqual(["a", "a", "b"]);
      }),
    );
  });

  it("lets a host with a free slot pass one that waits for its own", async () => {
    const slots = new DownloadSlots({ parallel: 3, parallelPerHost: 1, waitMs: 10_000 });
    const order: string[] = [];
    const take = (name: string, host: string) =>
      slots.take(host, signal).then((release) => {
        order.push(name);
        return release;
      });
    const first = take("first of a", "a");
    const second = take("second of a", "a");
    await take("first of b", "b");
    expect(order).toEqual(["first of a", "first of b"]);
    (await first)();
    (await second)();
  });

  it("counts a slot once that is given back twice", async () => {
    const slots = new DownloadSlots({ parallel: 1, parallelPerHost: 1, waitMs: 1 });
    const release = await slots.take("a", signal);
    release();
    release();
    await slots.take("a", signal);
    await expect(slots.take("a", signal)).rejects.toMatchObject({ reason: "busy" });
  });
});

describe("ByteBudget", () => {
  it("is empty again after any order of taking, waiting, leaving and giving", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 1, max: 150 }), fc.boolean()), { maxLength: 20 }), async (wishes) => {
        const budget = new ByteBudget(100);
        const held: (() => void)[] = [];
        for (const [bytes, leaves] of wishes) {
          const caller = new AbortController();
          budget.take(bytes, caller.signal).then(
            (giveBack) => held.push(giveBack),
            () => {},
          );
          if (leaves) caller.abort();
          await settle();
          expect(budget.taken).toBeLessThanOrEqual(100);
        }
        while (held.length > 0) {
          held.shift()?.();
          await settle();
        }
        expect(budget.taken).toBe(0);
      }),
    );
  });

  it("does not let small wishes overtake a large one that waits", async () => {
    const budget = new ByteBudget(100);
    const order: string[] = [];
    const giveBack = await budget.take(60, signal);
    const large = budget.take(80, signal).then(() => order.push("large"));
    const small = budget.take(10, signal).then(() => order.push("small"));
    giveBack();
    await Promise.all([large, small]);
    expect(order).toEqual(["large", "small"]);
  });
});

describe("SharedWork", () => {
  it("runs once for all who join, and again after it ended", async () => {
    const shared = new SharedWork<string, number>();
    let runs = 0;
    const join = () => shared.join("key", signal, async () => ++runs);
    expect(await Promise.all([join(), join(), join()])).toEqual([1, 1, 1]);
    expect(await join()).toBe(2);
  });

  it("gives a failure to all who wait, and starts anew for the next", async () => {
    const shared = new SharedWork<string, number>();
    const failing = () => shared.join("key", signal, () => Promise.reject(new Error("broken")));
    expect((await Promise.allSettled([failing(), failing()])).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await shared.join("key", signal, async () => 7)).toBe(7);
  });

  it("is not joined by a newcomer while it is being given up", async () => {
    const shared = new SharedWork<string, string>();
    const caller = new AbortController();
    const first = shared.join(
      "key",
      caller.signal,
      (stop) => new Promise((_, reject) => stop.addEventListener("abort", () => reject(stop.reason))),
    );
    caller.abort(new Error("left"));
    await expect(first).rejects.toThrow("left");
    expect(shared.has("key")).toBe(false);
    expect(await shared.join("key", signal, async () => "new")).toBe("new");
  });
});

describe("ExpiringCache", () => {
  it("forgets at its time, and what was not used for longest when it is full", () => {
    let now = 0;
    const cache = new ExpiringCache<string, number>(2, () => now);
    cache.set("a", 1, 10);
    cache.set("b", 2, Number.POSITIVE_INFINITY);
    expect([cache.get("a"), cache.get("b")]).toEqual([1, 2]);
    now = 10;
    expect([cache.get("a"), cache.get("b")]).toEqual([undefined, 2]);
    cache.set("c", 3, 10);
    cache.get("b");
    cache.set("d", 4, 10);
    expect([cache.get("b"), cache.get("c"), cache.get("d")]).toEqual([2, undefined, 4]);
  });

  it("keeps nothing for no time, and forgets what was there", () => {
    const cache = new ExpiringCache<string, number>(2);
    cache.set("a", 1, 1_000);
    cache.set("a", 2, 0);
    expect(cache.get("a")).toBeUndefined();
  });
});

describe("boundedMap", () => {
  it("keeps the order and never runs more than its lanes", async () => {
    let running = 0;
    let most = 0;
    const results = await boundedMap([5, 1, 4, 2, 3, 0], 2, async (turns) => {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      running--;
      return turns * 10;
    });
    expect([results, most]).toEqual([[50, 10, 40, 20, 30, 0], 2]);
  });
});
