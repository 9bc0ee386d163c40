import { inspect } from "node:util";
import type { Booking } from "@mm-router/kv";
import { AppError } from "@mm-router/protocol";
import { type Call, createMetrics, ManualClock, notTaken, type ResponseStream, StreamAborted } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { DecisionRing } from "./decisions/decision-ring.ts";
import { createHandler } from "./handler.ts";
import { routerMetrics } from "./metrics.ts";
import type { Quality } from "./routing/degrade.ts";
import { SeenBlocks } from "./routing/seen-blocks.ts";
import type { RoutingPlan } from "./routing/routing-plan.ts";
import { frameOf, idOf, keepingLog, KeepingSink, streamOf, tokensFrame, workerOfRelease } from "./testing.ts";

type Answer = (call: Call) => ResponseStream | Promise<ResponseStream>;

/** A handler in front of one scripted worker per answer, tried in their order. */
const timeout: Quality = { kind: "degraded", reason: "timeout" };

function handlerOf(answers: Answer[], release = "1.4.2", quality: Quality = timeout) {
  const calls: { instanceId: bigint; call: Call }[] = [];
  const books = { booked: 0, prefillDone: 0, freed: 0 };
  const log = keepingLog();
  const booking = {
    overlapBlocks: 1,
    availableBlocks: 2,
    prefillDone: () => void books.prefillDone++,
    free: () => void books.freed++,
  } as unknown as Booking;
  const workers = answers.map((_, n) => workerOfRelease(release, n, { promptTokensMax: 10 }));
  const plan = {
    choose(refused: ReadonlySet<bigint>) {
      const worker = workers.find(({ instanceId }) => !refused.has(instanceId));
      if (worker === undefined) return undefined;
      books.booked++;
      return { worker, dpRank: 0, prompt: { islTokens: 3, blockHashes: new BigUint64Array(1) }, quality, booking };
    },
  } as RoutingPlan;
  const metrics = createMetrics({ processMetrics: false });
  const decisions = new DecisionRing(10);
  const handler = createHandler({
    router: { plan: () => Promise.resolve(plan) },
    workers: {
      direct: async (instanceId, call) => {
        calls.push({ instanceId, call });
        return answers[workers.findIndex((worker) => worker.instanceId === instanceId)]!(call);
      },
    },
    metrics: routerMetrics(metrics),
    clock: new ManualClock(),
    log,
    decisions,
    seen: new SeenBlocks(),
  });
  const sink = new KeepingSink();
  const left = new AbortController();
  const run = (body = '{"token_ids":[1,2,3],"x":1.0}') =>
    handler(
      {
        contextId: "ctx",
        codec: "json",
        body: Buffer.from(body),
        metadata: { a: "b" },
        headers: { traceparent: "t" },
        reached: Promise.resolve(),
        signal: left.signal,
      },
      sink,
    );
  const outcome = () => log.lines.filter(({ msg }) => msg === "request done").map(({ facts }) => facts["outcome"]);
  return { run, calls, books, sink, log, left, outcome, metrics, decisions };
}

const ends = () => streamOf([[tokensFrame(1)], [tokensFrame(2), tokensFrame(3)]]);
const refuses: Answer = () => Promise.reject(notTaken("worker_lost", "no responders", { instanceId: idOf(0) }));

describe("the handler", () => {
  it("forwards the bytes under the caller's context id, metadata and headers, and passes the answer on", async () => {
    const { run, calls, sink, books, outcome } = handlerOf([ends]);
    await run();
    expect(calls[0]?.call.body.toString()).toBe('{"token_ids":[1,2,3],"x":1.0,"routing":{"dp_rank":0}}');
    expect(calls[0]?.call).toMatchObject({ contextId: "ctx", metadata: { a: "b" }, headers: { traceparent: "t" } });
    expect(sink.writes).toEqual([[tokensFrame(1)], [tokensFrame(2), tokensFrame(3)]]);
    expect(books).toEqual({ booked: 1, prefillDone: 1, freed: 1 });
    expect(outcome()).toEqual(["ended"]);
  });

  it("says how sure it was: to the log, to whoever counts, and to the client that asks for it before all data", async () => {
    const { run, sink, log, metrics } = handlerOf([ends, ends]);
    await run();
    expect(sink.items).toEqual([]);
    await run('{"token_ids":[1,2,3],"annotations":["formatted_prompt","routing_quality"]}');
    expect(sink.items).toEqual([{ event: "routing_quality", comment: ['{"quality":"degraded","reason":"timeout"}'] }]);
    expect(log.lines.filter(({ msg }) => msg === "request done").map(({ facts: { quality, reason } }) => [quality, reason])).toEqual([
      ["degraded", "timeout"],
      ["degraded", "timeout"],
    ]);
    const text = await metrics.text();
    for (const [quality, count] of [
      ["exact", 0],
      ["degraded", 2],
      ["fallback", 0],
    ])
      expect(text).toContain(`mm_router_decisions_total{quality="${quality}"} ${count}`);
  });

  it("goes to the next worker while a request is not taken, each booking ended once", async () => {
    const { run, calls, books, sink, outcome, metrics } = handlerOf([refuses, refuses, ends]);
    await run();
    expect(calls.map(({ instanceId }) => instanceId)).toEqual([idOf(0), idOf(1), idOf(2)]);
    expect(books).toEqual({ booked: 3, prefillDone: 1, freed: 3 });
    expect(sink.writes.length).toBe(2);
    expect(outcome()).toEqual(["ended"]);
    expect(await metrics.text()).toContain("mm_router_retries_total 2");
  });

  it("answers 503 when nobody takes it or nobody is there", async () => {
    await expect(handlerOf([refuses]).run()).rejects.toMatchObject({ code: "no_instances", status: 503 });
    await expect(handlerOf([]).run()).rejects.toMatchObject({ code: "no_instances", status: 503 });
    const full: Answer = () => Promise.reject(notTaken("overloaded", "full", { instanceId: idOf(0) }));
    const busy = handlerOf([full]);
    await expect(busy.run()).rejects.toMatchObject({ code: "overloaded", status: 529 });
    expect(busy.outcome()).toEqual(["not_taken"]);
  });

  it("never goes to another worker once a request was taken", async () => {
    const dies = () => streamOf([], new AppError("worker_lost", "FIN"));
    const { run, calls, books, outcome } = handlerOf([dies, ends]);
    await expect(run()).rejects.toMatchObject({ code: "worker_lost" });
    expect(calls.length).toBe(1);
    expect(books.freed).toBe(1);
    expect(outcome()).toEqual(["worker_lost"]);
  });

  it("breaks the stream off when the worker is lost after items, so that the frontend may migrate", async () => {
    const { run, outcome, books, log } = handlerOf([() => streamOf([[tokensFrame(1)]], new AppError("worker_lost", "FIN"))]);
    await expect(run()).rejects.toBeInstanceOf(StreamAborted);
    expect(outcome()).toEqual(["worker_lost"]);
    expect(log.lines[0]?.facts).toMatchObject({ code: "worker_lost", error: "FIN" });
    expect(books).toEqual({ booked: 1, prefillDone: 1, freed: 1 });
  });

  it("passes a worker's error on and ends normally", async () => {
    const { run, sink, outcome, log } = handlerOf([
      () => streamOf([[frameOf({ event: "error", error: { error_type: { Backend: "InvalidArgument" }, message: "ValueError: bad" } })]]),
    ]);
    await run();
    expect(sink.items[0]?.error?.error_type).toBe("InvalidArgument");
    expect(outcome()).toEqual(["worker_failed"]);
    expect(JSON.stringify(log.lines)).not.toContain("ValueError");
  });

  it("frees once when the client leaves, and says so", async () => {
    const { run, left, books, outcome } = handlerOf([
      ({ signal }) => {
        left.abort(new AppError("client_closed", "left"));
        return streamOf([[tokensFrame(1)]], signal.reason as AppError);
      },
    ]);
    await expect(run()).rejects.toMatchObject({ code: "client_closed" });
    expect(books).toMatchObject({ booked: 1, freed: 1 });
    expect(outcome()).toEqual(["client_closed"]);
  });

  it("keeps a worker that computes on in the books after the client left", async () => {
    const { run, left, books } = handlerOf([() => streamOf([[tokensFrame(1)]], new AppError("client_closed", "left"))], "1.0.2");
    left.abort(new AppError("client_closed", "left"));
    await expect(run('{"token_ids":[1],"stop_conditions":{"max_tokens":1000}}')).rejects.toMatchObject({ code: "client_closed" });
    expect(books).toMatchObject({ booked: 1, freed: 0 });
  });

  it("refuses what would end the worker, and sends nothing", async () => {
    const { run, calls, books, outcome } = handlerOf([ends]);
    await expect(run('{"token_ids":[]}')).rejects.toMatchObject({ status: 400 });
    await expect(run(`{"token_ids":[${"1,".repeat(10)}1]}`)).rejects.toMatchObject({ code: "context_length_exceeded", status: 400 });
    expect(calls).toEqual([]);
    expect(books).toMatchObject({ booked: 2, freed: 2 });
    expect(outcome()).toEqual(["refused", "refused"]);
  });

  it("refuses a body that is no request", async () => {
    await expect(handlerOf([ends]).run('{"token_ids":"x"}')).rejects.toMatchObject({ code: "protocol_error" });
  });

  it("writes one line per request, without prompt or URL", async () => {
    const { run, log } = handlerOf([ends]);
    await run('{"token_ids":[4711,2,3],"multi_modal_data":{"image_url":[{"Url":"https://secret/x?sig=1"}]}}');
    expect(log.lines.length).toBe(1);
    expect(log.lines[0]?.facts).toMatchObject({
      request_id: "ctx",
      instance_id: idOf(0).toString(16),
      images: 1,
      prompt_tokens: 3,
      available_blocks: 2,
      overlap_blocks: 1,
      outcome: "ended",
    });
    expect(JSON.stringify(log.lines)).not.toMatch(/4711|secret|sig/);
  });

  it("remembers how a request was placed and how it ended, without prompt or URL", async () => {
    const { run, decisions } = handlerOf([refuses, ends]);
    await run('{"token_ids":[4711,2,3],"multi_modal_data":{"image_url":[{"Url":"https://secret/x?sig=1"}]}}');
    expect(decisions.find("ctx")).toMatchObject({
      promptTokens: 3,
      images: 1,
      retries: 1,
      outcome: "ended",
      chosen: { availableBlocks: 2 },
    });
    expect(inspect(decisions.latest(1), { depth: 9 })).not.toMatch(/4711|secret|sig/);
  });

  it("remembers a request that nobody took, with the error's code", async () => {
    const { run, decisions } = handlerOf([refuses]);
    await expect(run()).rejects.toMatchObject({ code: "no_instances" });
    expect(decisions.find("ctx")).toMatchObject({ outcome: "not_taken", errorCode: "no_instances" });
  });
});
