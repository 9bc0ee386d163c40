import { ManualClock } from "@mm-router/runtime";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ActiveLoad } from "./active-load.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function loadWith(abortsOnCancel: boolean, tokensMax?: number) {
  const calls = { prefillDone: 0, free: 0 };
  const clock = new ManualClock(1000);
  const booking = { prefillDone: () => void calls.prefillDone++, free: () => void calls.free++ };
  return { calls, clock, load: new ActiveLoad({ booking, abortsOnCancel, tokensMax: () => tokensMax, clock }) };
}

describe("ActiveLoad", () => {
  it("ends the prefill at the first items, once", () => {
    const { load, calls } = loadWith(true);
    expect([load.received(1), load.received(5)]).toEqual(["first", "more"]);
    expect(calls).toEqual({ prefillDone: 1, free: 0 });
  });

  it("frees exactly once whatever comes in which order", () => {
    const step = fc.constantFrom("received" as const, "ended" as const, "abandoned" as const);
    fc.assert(
      fc.property(fc.array(step), fc.boolean(), (steps, abortsOnCancel) => {
        const { load, calls } = loadWith(abortsOnCancel, 10);
        for (const name of steps) load[name](1);
        vi.runAllTimers();
        expect(calls.free).toBe(steps.some((name) => name !== "received") ? 1 : 0);
      }),
    );
  });

  it("frees at once when the client leaves a worker that stops", () => {
    const { load, calls } = loadWith(true, 1000);
    load.abandoned();
    expect(calls.free).toBe(1);
  });

  it("keeps counting a worker that computes on, for as long as the rest would take at its pace", () => {
    const { load, calls, clock } = loadWith(false, 110);
    load.received(1);
    clock.advance(500);
    load.received(9); // 10 tokens in 500 ms: 100 are left, 50 ms each
    load.abandoned();
    vi.advanceTimersByTime(4_999);
    expect(calls.free).toBe(0);
    vi.advanceTimersByTime(1);
    expect(calls.free).toBe(1);
  });

  it("does not count for ever where max_tokens is huge, nor at all where it is used up", () => {
    const huge = loadWith(false, 1e9);
    huge.load.abandoned();
    vi.advanceTimersByTime(120_000);
    expect(huge.calls.free).toBe(1);
    const done = loadWith(false, 2);
    done.load.received(3);
    done.load.abandoned();
    vi.advanceTimersByTime(0);
    expect(done.calls.free).toBe(1);
  });
});
