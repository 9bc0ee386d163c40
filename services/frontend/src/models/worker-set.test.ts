import { AppError, type Instance, type InstanceId } from "@mm-router/protocol";
import { type Call, type EndpointClient, ManualClock, notTaken, type ResponseStream } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { ModelSet } from "./model-set.ts";
import type { InstanceMode } from "./instance-choice.ts";
import type { AffinityOptions } from "./session-bindings.ts";
import { anyWorker, WorkerSet } from "./worker-set.ts";

const noAffinity: AffinityOptions = { ttlMs: undefined, mode: "hard" };
const call = { contextId: "c", body: new Uint8Array(), signal: new AbortController().signal };

/** A set over instances 1 … 3, whose calls end as `outcomes` says: a stream, or an error. */
function workers({
  mode = "round-robin" as InstanceMode,
  affinity = noAffinity,
  random = (): number => 0,
  ids = [1n, 2n, 3n],
  card = {},
} = {}) {
  const called: bigint[] = [];
  const busy = new Set<bigint>();
  const outcomes = new Map<bigint, AppError>();
  const clock = new ManualClock();
  const client = {
    instances: { list: () => ids.map((instanceId) => ({ instanceId }) as Instance) },
    direct: async (id: InstanceId, _call: Call) => {
      called.push(id);
      const failure = outcomes.get(id);
      if (failure) throw failure;
      return { instanceId: id, cancel: () => {} } as ResponseStream;
    },
    close: () => {},
  } as unknown as EndpointClient;
  const address = { namespace: "ns", component: "c", endpoint: "e" };
  const options = {
    name: "m",
    address,
    card: { model_type: "Chat", ...card } as never,
    sum: "s",
    text: undefined,
    client,
    mode,
    affinity,
    setAsideMs: 5000,
    clock,
    random,
    isBusy: (id: InstanceId) => busy.has(id),
  };
  const set = new WorkerSet(options);
  for (const id of ids) set.members.add(id as InstanceId);
  return { set, called, outcomes, clock, busy };
}

const refused = (id: bigint) => notTaken("worker_lost", "no responders", { instanceId: id as InstanceId });

describe("the workers of a model", () => {
  it("take turns in the order of their ids", async () => {
    const { set, called } = workers();
    for (let n = 0; n < 4; n++) await set.dispatch(call, anyWorker);
    expect(called).toEqual([1n, 2n, 3n, 1n]);
  });

  it("are chosen at random when that is the mode", async () => {
    const dice = [0.99, 0.0, 0.4];
    const { set, called } = workers({ mode: "random", random: () => dice.shift()! });
    for (let n = 0; n < 3; n++) await set.dispatch(call, anyWorker);
    expect(called).toEqual([3n, 1n, 2n]);
  });

  it("get nothing while they are too busy, and refuse when all are", async () => {
    const { set, called, busy } = workers();
    busy.add(1n).add(3n);
    await set.dispatch(call, anyWorker);
    await set.dispatch(call, anyWorker);
    busy.add(2n);
    await expect(set.dispatch(call, anyWorker)).rejects.toMatchObject({ code: "overloaded", status: 529 });
    expect(called).toEqual([2n, 2n]);
  });

  it("count what runs at them for the modes that ask", async () => {
    const { set, called } = workers({ mode: "least-loaded" });
    const first = await set.dispatch(call, anyWorker);
    await set.dispatch(call, anyWorker);
    first.cancel();
    first.cancel();
    for (let n = 0; n < 3; n++) await set.dispatch(call, anyWorker);
    expect(called).toEqual([1n, 2n, 3n, 1n, 2n]);
  });

  it("keep a session as long as it is not idle, and let it go with its last request", async () => {
    const { set, called, clock } = workers({ affinity: { ttlMs: 1000, mode: "hard" } });
    const demand = (final: boolean) => ({ ...anyWorker, session: { id: "s", final } });
    await set.dispatch(call, demand(false));
    await set.dispatch(call, anyWorker);
    await set.dispatch(call, demand(false));
    clock.advance(1000);
    await set.dispatch(call, demand(false));
    await set.dispatch(call, demand(true));
    await set.dispatch(call, demand(false));
    expect(called).toEqual([1n, 2n, 1n, 2n, 2n, 3n]);
  });

  it("refuse a session whose worker is too busy, or pass it on, as the mode says; one whose worker is gone moves", async () => {
    const session = { id: "s", final: false };
    for (const [mode, outcome] of [
      ["hard", "overloaded"],
      ["soft", 2n],
    ] as const) {
      const { set, called, busy } = workers({ affinity: { ttlMs: 1000, mode } });
      await set.dispatch(call, { ...anyWorker, session });
      busy.add(1n);
      const again = await set.dispatch(call, { ...anyWorker, session }).then(
        () => called.at(-1),
        (error: AppError) => error.code,
      );
      expect(again).toBe(outcome);
      busy.clear();
      set.forget(1n as InstanceId);
      await set.dispatch(call, { ...anyWorker, session });
      expect(called.at(-1)).toBe(2n);
    }
  });

  it("pass a request on that one of them did not take, which is then left alone for a while", async () => {
    const { set, called, outcomes, clock } = workers();
    outcomes.set(1n, refused(1n));
    expect((await set.dispatch(call, anyWorker)).instanceId).toBe(2n);
    outcomes.clear();
    expect(set.available()).toEqual([2n, 3n]);
    clock.advance(5000);
    expect(set.available()).toEqual([1n, 2n, 3n]);
    expect(called).toEqual([1n, 2n]);
  });

  it("try each instance once and tell the last failure", async () => {
    const { set, called, outcomes } = workers();
    for (const id of [1n, 2n, 3n]) outcomes.set(id, refused(id));
    await expect(set.dispatch(call, anyWorker)).rejects.toThrow("no responders");
    expect(called).toEqual([1n, 2n, 3n]);
  });

  it("are asked again when all of them have just failed: there is nobody else", async () => {
    const { set, outcomes } = workers();
    for (const id of [1n, 2n, 3n]) outcomes.set(id, refused(id));
    await expect(set.dispatch(call, anyWorker)).rejects.toThrow("no responders");
    outcomes.clear();
    expect((await set.dispatch(call, anyWorker)).instanceId).toBe(1n);
  });

  it("never give a request to another one once it was taken", async () => {
    const { set, called, outcomes } = workers();
    outcomes.set(1n, new AppError("worker_lost", "died"));
    await expect(set.dispatch(call, anyWorker)).rejects.toThrow("died");
    expect(called).toEqual([1n]);
    expect(set.available()).toEqual([2n, 3n]);
  });

  it("are not passed on to when the client has left", async () => {
    const { set, called, outcomes } = workers();
    outcomes.set(1n, refused(1n));
    await expect(set.dispatch({ ...call, signal: AbortSignal.abort() }, anyWorker)).rejects.toThrow("no responders");
    expect(called).toEqual([1n]);
  });

  it("stay available when one says that it is busy or unavailable", () => {
    const { set } = workers();
    set.noteFailure(1n as InstanceId, new AppError("overloaded", "busy"));
    set.noteFailure(2n as InstanceId, new AppError("worker_lost", "x", { details: { error_type: "Unavailable" } }));
    set.noteFailure(3n as InstanceId, new AppError("invalid_request", "x"));
    expect(set.available()).toEqual([1n, 2n, 3n]);
  });

  it("are only those whose card and instance both stand", () => {
    const { set } = workers();
    set.forget(2n as InstanceId);
    expect(set.available()).toEqual([1n, 3n]);
  });

  it("are asked by id when the client demands one, and refuse an unknown one", async () => {
    const { set, called } = workers();
    await set.dispatch(call, { ...anyWorker, instanceId: 3n as InstanceId });
    expect(called).toEqual([3n]);
    await expect(set.dispatch(call, { ...anyWorker, instanceId: 77n as InstanceId })).rejects.toMatchObject({ status: 400 });
  });

  it("refuse a rank that they do not have", async () => {
    const { set } = workers({ card: { runtime_config: { data_parallel_start_rank: 2, data_parallel_size: 2 } } });
    await expect(set.dispatch(call, { ...anyWorker, dpRank: 3 })).resolves.toBeDefined();
    await expect(set.dispatch(call, { ...anyWorker, dpRank: 4 })).rejects.toMatchObject({ status: 400 });
  });
});

describe("a model with several sets", () => {
  it("lets the routable ones take turns", () => {
    const models = new ModelSet();
    const [a, b, empty] = [workers().set, workers({ ids: [9n] }).set, workers({ ids: [] }).set];
    for (const set of [a, b, empty]) models.add(set);
    expect([0, 1, 2].map(() => models.find("m", "chat"))).toEqual([a, b, a]);
  });

  it("is not ready while nobody can take a request, and unknown for another kind", () => {
    const models = new ModelSet();
    models.add(workers({ ids: [] }).set);
    expect(() => models.find("m", "chat")).toThrow(expect.objectContaining({ status: 503 }));
    expect(() => models.find("m", "completion")).toThrow(expect.objectContaining({ status: 404, message: "Model not found" }));
    expect(models.list()).toEqual([]);
  });
});
