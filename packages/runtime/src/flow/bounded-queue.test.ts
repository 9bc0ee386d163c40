import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BoundedQueue } from "./bounded-queue.ts";

async function collect<T>(queue: BoundedQueue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

function offerTo(model: number[], item: number, capacity: number): boolean {
  return model.length < capacity && model.push(item) > 0;
}

describe("BoundedQueue", () => {
  it("refuses what does not fit and takes again when there is room", () => {
    const queue = new BoundedQueue<string>(2);
    expect([queue.offer("a"), queue.offer("b"), queue.offer("c")]).toEqual([true, true, false]);
    expect(queue.poll()).toBe("a");
    expect(queue.offer("d")).toBe(true);
    expect([queue.poll(), queue.poll(), queue.poll()]).toEqual(["b", "d", undefined]);
  });

  it("wakes a waiting consumer", async () => {
    const queue = new BoundedQueue<number>(10);
    const collected = collect(queue);
    await Promise.resolve();
    queue.offer(1);
    await Promise.resolve();
    queue.offer(2);
    queue.close();
    await expect(collected).resolves.toEqual([1, 2]);
  });

  it("gives out what was accepted before it was closed, and takes nothing after", async () => {
    const queue = new BoundedQueue<number>(10);
    queue.offer(1);
    queue.close();
    expect(queue.offer(2)).toBe(false);
    await expect(collect(queue)).resolves.toEqual([1]);
  });

  it("drops all that waits when it is cleared", () => {
    const queue = new BoundedQueue<number>(10);
    queue.offer(1);
    queue.clear();
    expect([queue.size, queue.poll()]).toEqual([0, undefined]);
  });

  it("behaves as an array with a limit, whatever is offered and polled", () => {
    const steps = fc.array(fc.oneof(fc.record({ offer: fc.nat() }), fc.constant("poll" as const)), { maxLength: 6000, size: "max" });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 3000 }), (history, capacity) => {
        const queue = new BoundedQueue<number>(capacity);
        const model: number[] = [];
        return history.every((step) => {
          const same = step === "poll" ? queue.poll() === model.shift() : queue.offer(step.offer) === offerTo(model, step.offer, capacity);
          return same && queue.size === model.length;
        });
      }),
      { numRuns: 50 },
    );
  });
});
