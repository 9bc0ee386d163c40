import { AppError, encodeIndexerAnswer, type Instance, parseJson } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { type Call, type EndpointClient, ManualClock, type ResponseStream, IndexerClient, type Tracer } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { idOf, silentLog, streamOf } from "../testing.ts";

const hashes = new BigUint64Array([9143094415614847814n, 18446744073709551615n]);
const scores = [{ worker: { workerId: idOf(1), dpRank: 0 }, blocks: 2 }];
const answer = encodeIndexerAnswer("json", { kind: "scores", scores });
const noAbort = new AbortController().signal;

interface ClientOptions {
  readonly instances?: number;
  readonly deadlineMs?: number;
  readonly tracer?: Tracer;
}

function clientOf(respond: (call: Call) => Promise<ResponseStream>, options: ClientOptions = {}) {
  const clock = new ManualClock();
  const calls: Call[] = [];
  const instances = { list: () => Array.from({ length: options.instances ?? 1 }, () => ({}) as Instance) };
  const endpoint = { instances, roundRobin: (call: Call) => (calls.push(call), respond(call)) } as unknown as EndpointClient;
  const lookup = { instances: { list: () => [] } } as unknown as EndpointClient;
  const index = new IndexerClient(
    { query: endpoint, lookup },
    {
      deadlineMs: options.deadlineMs ?? 1000,
      failuresMax: 3,
      restMs: 1000,
      clock,
      log: silentLog,
      tracer: options.tracer,
    },
  );
  return { index, calls, clock };
}

describe("IndexerClient", () => {
  it("asks in the form of real routers and reads the scores", async () => {
    const { index, calls } = clientOf(() => Promise.resolve(streamOf([[answer]])));
    expect(await index.query("m", hashes, noAbort)).toEqual({ scores, tookMs: 0 });
    expect(parseJson(calls[0]!.body)).toEqual({
      model_name: "m",
      block_hashes: [9143094415614847814n, 18446744073709551615n],
      device_only: false,
    });
  });

  it("makes a span of the question, a part of the request's, which the call carries on and which ends once", async () => {
    const spans: { name: string; parent: unknown; kind: unknown; ended: (string | undefined)[] }[] = [];
    const tracer: Tracer = {
      begin(name, parent, _facts, kind) {
        const span = { name, parent, kind, ended: [] as (string | undefined)[] };
        spans.push(span);
        return { headers: { traceparent: "mine" }, set: () => {}, end: (failure) => void span.ended.push(failure?.code) };
      },
      close: async () => {},
    };
    const { index, calls } = clientOf(() => Promise.resolve(streamOf([[answer]])), { tracer });
    await index.query("m", hashes, noAbort, { traceparent: "request's" });
    expect(spans).toEqual([{ name: "index query", parent: { traceparent: "request's" }, kind: "client", ended: [undefined] }]);
    expect(calls[0]!.headers).toEqual({ traceparent: "mine" });

    const failing = clientOf(() => Promise.reject(new AppError("worker_lost", "gone")), { tracer });
    await failing.index.query("m", hashes, noAbort);
    expect(spans[1]?.ended).toEqual(["worker_lost"]);
  });

  it("reads the answers of real served indexes", async () => {
    const frames = answersOf(golden("kv/remote-indexer.json"));
    expect(frames.length).toBeGreaterThan(0);
    for (const frame of frames) {
      const { index } = clientOf(() => Promise.resolve(streamOf([[Buffer.from(frame)]])));
      expect((await index.query("m", hashes, noAbort)).degraded).toBe(frame.includes('"Error"') ? "index-failed" : undefined);
    }
  });

  it("does not ask for a prompt without a full block", async () => {
    const { index, calls } = clientOf(() => Promise.reject(new Error("asked")));
    expect(await index.query("m", new BigUint64Array(), noAbort)).toEqual({ scores: [] });
    expect(calls).toEqual([]);
  });

  it("says index-missing without waiting when nobody serves it", async () => {
    const { index } = clientOf(() => Promise.reject(new Error("asked")), { instances: 0 });
    expect(await index.query("m", hashes, noAbort)).toEqual({ scores: [], degraded: "index-missing" });
  });

  it("gives up at its deadline and tells the call", async () => {
    const aborted = Promise.withResolvers<void>();
    const { index } = clientOf(
      ({ signal }) =>
        new Promise<ResponseStream>((_, reject) => {
          signal.addEventListener("abort", () => (aborted.resolve(), reject(signal.reason)));
        }),
      { deadlineMs: 5 },
    );
    expect(await index.query("m", hashes, noAbort)).toEqual({ scores: [], degraded: "index-late", tookMs: 0 });
    await aborted.promise;
  });

  it.each<[string, () => Promise<ResponseStream>]>([
    [
      "an index that refuses",
      () => Promise.resolve(streamOf([[encodeIndexerAnswer("json", { kind: "error", message: "not registered" })]])),
    ],
    ["an index that says nothing", () => Promise.resolve(streamOf([]))],
    ["an index that breaks off", () => Promise.resolve(streamOf([], new AppError("worker_lost", "FIN")))],
    ["an answer that cannot be read", () => Promise.resolve(streamOf([[Buffer.from('{"data":{"x":1},"complete_final":false}')]]))],
    ["nobody who takes the question", () => Promise.reject(new AppError("no_instances", "gone"))],
  ])("routes without %s", async (_what, respond) => {
    const { index } = clientOf(respond);
    expect(await index.query("m", hashes, noAbort)).toEqual({ scores: [], degraded: "index-failed", tookMs: 0 });
  });

  it("rests after three failures, tries once after the rest, and goes on when that works", async () => {
    let works = false;
    const { index, calls, clock } = clientOf(() =>
      works ? Promise.resolve(streamOf([[answer]])) : Promise.reject(new AppError("worker_lost", "x")),
    );
    const ask = async () => (await index.query("m", hashes, noAbort)).degraded;
    expect([await ask(), await ask(), await ask(), await ask()]).toEqual(["index-failed", "index-failed", "index-failed", "index-resting"]);
    expect(calls.length).toBe(3);
    clock.advance(1000);
    works = true;
    expect([await ask(), await ask()]).toEqual([undefined, undefined]);
  });

  it("rejects when the caller left, and does not count that against the index", async () => {
    const left = new AbortController();
    const { index } = clientOf(({ signal }) => {
      left.abort(new AppError("client_closed", "left"));
      return Promise.reject(signal.reason);
    });
    await expect(index.query("m", hashes, left.signal)).rejects.toMatchObject({ code: "client_closed" });
  });
});

/** Data frames of real answers, wherever they stand in the file. */
function answersOf(value: unknown): string[] {
  if (typeof value === "string") return value.startsWith('{"data":{"TieredScores"') || value.startsWith('{"data":{"Error"') ? [value] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(answersOf) : [];
}
