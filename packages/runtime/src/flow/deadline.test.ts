import { AppError } from "@mm-router/protocol";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { withDeadline } from "./deadline.ts";

const never = () => new Promise<never>(() => {});

describe("withDeadline", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("gives what the work gives when it is in time", async () => {
    await expect(withDeadline(Promise.resolve(7), 1000, "counting")).resolves.toBe(7);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("rejects with deadline_exceeded that names what was late", async () => {
    const waiting = expect(withDeadline(never(), 1000, "the index query")).rejects.toMatchObject({
      code: "deadline_exceeded",
      message: "the index query took longer than 1000 ms",
      details: { what: "the index query", deadline_ms: 1000 },
    });
    await vi.advanceTimersByTimeAsync(1000);
    await waiting;
  });

  it("passes the work's own error on", async () => {
    await expect(withDeadline(Promise.reject(new AppError("no_instances", "nobody")), 1000, "x")).rejects.toThrow("nobody");
  });

  it("aborts the work's signal at the deadline", async () => {
    let seen: AbortSignal | undefined;
    const work = (signal: AbortSignal) => {
      seen = signal;
      return never();
    };
    const waiting = expect(withDeadline(work, 50, "x")).rejects.toThrow();
    expect(seen?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(50);
    await waiting;
    expect(seen?.aborted).toBe(true);
  });

  it("aborts the work's signal when the parent aborts", async () => {
    const parent = new AbortController();
    const work = (signal: AbortSignal) => new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const waiting = expect(withDeadline(work, 1000, "x", parent.signal)).rejects.toThrow("enough");
    parent.abort(new Error("enough"));
    await waiting;
  });

  it("does not leave an unhandled rejection when the work fails after the deadline", async () => {
    const work = Promise.withResolvers<never>();
    const waiting = expect(withDeadline(work.promise, 10, "x")).rejects.toMatchObject({ code: "deadline_exceeded" });
    await vi.advanceTimersByTimeAsync(10);
    await waiting;
    work.reject(new Error("too late to matter")); // an unhandled rejection here fails the run
  });
});
