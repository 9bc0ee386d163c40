import { LocalScheduler } from "@mm-router/kv";
import { ManualClock } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { workerOfRelease } from "../testing.ts";
import type { Worker } from "../workers/worker.ts";
import { WaitingLine } from "./waiting-line.ts";

const worker = workerOfRelease("1.6.1", 1, { batchTokensMax: 100 });
const noAbort = new AbortController().signal;
const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

function lineOf(workers: readonly Worker[] = [worker], waitingMax?: number) {
  const clock = new ManualClock();
  const scheduler = new LocalScheduler({ blockSize: 4, config: {}, now: () => 0, random: () => 0 });
  const line = new WaitingLine({ threshold: 1, ...(waitingMax !== undefined && { waitingMax }) }, (rank) => scheduler.load(rank), clock);
  scheduler.observe(line);
  const book = (islTokens: number) =>
    scheduler.select({ islTokens, blockHashes: new BigUint64Array(), overlap: [], candidates: workers.flatMap(({ ranks }) => ranks) });
  const passed: string[] = [];
  /** A request that is booked with 60 tokens as soon as it may go. */
  const come = (name: string, { strict = 0, jumpSeconds = 0 } = {}, signal = noAbort) => {
    clock.advance(1);
    return line
      .pass(() => workers, { strict, jumpSeconds }, signal)
      .then(() => {
        passed.push(name);
        return book(60);
      });
  };
  return { line, book, come, passed, clock };
}

describe("WaitingLine", () => {
  it("lets everybody through while a worker has room", async () => {
    const { line, book, come, passed } = lineOf();
    book(100);
    await come("a");
    expect([passed, line.length]).toEqual([["a"], 0]);
  });

  it("holds requests until a prefill or a request ends, one at a time and in their order", async () => {
    const { line, book, come, passed } = lineOf();
    const [first, second] = [book(60), book(60)];
    const coming = ["a", "b", "c"].map((name) => come(name));
    await settled();
    expect([passed, line.length]).toEqual([[], 3]);
    first.prefillDone();
    await settled();
    expect([passed, line.length]).toEqual([["a"], 2]); // its own tokens fill the worker again
    second.free();
    await settled();
    expect([passed, line.length]).toEqual([["a", "b"], 1]);
    (await coming[0]!).free();
    await Promise.all(coming);
    expect(passed).toEqual(["a", "b", "c"]);
  });

  it("puts a request with a jump before those that came less than that earlier", async () => {
    const { book, come, passed } = lineOf();
    const running = book(200);
    const coming = [come("early"), come("late"), come("jumps", { jumpSeconds: 60 })];
    running.free();
    (await coming[2]!).free();
    (await coming[0]!).free();
    await coming[1];
    expect(passed).toEqual(["jumps", "early", "late"]);
  });

  it("puts a request of higher priority before all others, whatever they jump", async () => {
    const { book, come, passed } = lineOf();
    const running = book(200);
    const coming = [come("jumps", { jumpSeconds: 60 }), come("first", { strict: 1 })];
    running.free();
    (await coming[1]!).free();
    await coming[0];
    expect(passed).toEqual(["first", "jumps"]);
  });

  it("goes on without a worker to wait for, and for one whose batch is not known", async () => {
    const nobody = lineOf([]);
    await nobody.line.pass(() => [], { strict: 0, jumpSeconds: 0 }, noAbort);
    const unknown = lineOf([workerOfRelease("1.6.1", 1)]);
    unknown.book(1e6);
    await unknown.come("a");
    expect(unknown.passed).toEqual(["a"]);
  });

  it("forgets who leaves, and refuses who finds no room to wait", async () => {
    const { line, book, come } = lineOf([worker], 1);
    book(200);
    const left = new AbortController();
    const coming = come("a", {}, left.signal);
    await expect(come("b")).rejects.toMatchObject({ code: "overloaded" });
    left.abort(new Error("left"));
    await expect(coming).rejects.toThrow("left");
    expect(line.length).toBe(0);
  });
});
