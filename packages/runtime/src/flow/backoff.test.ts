import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backoff } from "./backoff.ts";

describe("Backoff", () => {
  it("doubles its ceiling up to the maximum", () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 500, random: () => 1 });
    expect([backoff.next(), backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([100, 200, 400, 500, 500]);
  });

  it("starts over after a reset", () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 500, random: () => 0 });
    backoff.next();
    backoff.next();
    backoff.reset();
    expect(backoff.next()).toBe(50);
  });

  it("waits between half the ceiling and the ceiling, whatever the dice say", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.integer({ min: 1, max: 10_000 }), (dice, firstMs) => {
        const wait = new Backoff({ firstMs, maxMs: 60_000, random: () => dice }).next();
        return wait >= firstMs / 2 && wait <= firstMs;
      }),
    );
  });

  it("ends its wait at once when the signal aborts", async () => {
    const abort = new AbortController();
    const wait = new Backoff({ firstMs: 3_600_000, maxMs: 3_600_000 }).wait(abort.signal);
    abort.abort();
    await expect(wait).resolves.toBeUndefined();
  });
});
