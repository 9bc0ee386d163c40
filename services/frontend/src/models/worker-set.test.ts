import { AppError, type Instance, type InstanceId } from "@mm-router/protocol";
import { type Call, type EndpointClient, ManualClock, notTaken, type ResponseStream } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { EndpointWorkers } from "./endpoint-workers.ts";
import { ModelSet } from "./model-set.ts";
import type { InstanceMode } from "./instance-choice.ts";
import type { AffinityOptions } from "./session-bindings.ts";
import { anyWorker, type WorkerDemand, WorkerSet, type WorkerSetOptions } from "./worker-set.ts";

const noAffinity: AffinityOptions = { ttlMs: undefined, mode: "hard" };
const affinity: AffinityOptions = { ttlMs: 1000, mode: "hard" };
const inSession: WorkerDemand = { ...anyWorker, session: { id: "s" } };
const lastRequest = { id: "s", final: true };
const prompt = { tokenIds: new Uint32Array(), hasMedia: false, cacheSalt: undefined };
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
      await Promise.resolve();
      const failure = outcomes.get(id);
      if (failure) throw failure;
      return { instanceId: id, cancel: () => {}, async *[Symbol.asyncIterator]() {} } as ResponseStream;
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
    endpoint: new EndpointWorkers({ client, mode, affinity, setAsideMs: 5000, clock, random }),
    isBusy: (id: InstanceId) => busy.has(id),
  };
  const setOf = (changes: Partial<WorkerSetOptions> = {}) => {
    const made = new WorkerSet({ ...options, ...changes });
    for (const id of ids) made.members.add(id as InstanceId);
    return made;
  };
  return { set: setOf(), setOf, called, outcomes, clock, busy };
}

async function readToItsEnd(stream: ResponseStream): Promise<void> {
  for await (const _batch of stream);
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

  it("keep a session as long as it is not idle, its last request included; other requests take turns as if it were not there", async () => {
    const { set, called, clock } = workers({ affinity });
    const ask = async (demand: WorkerDemand) => readToItsEnd(await set.dispatch(call, demand));
    await ask(inSession);
    await ask(anyWorker);
    await ask({ ...inSession, session: lastRequest });
    await ask(inSession);
    await ask(anyWorker);
    clock.advance(1000);
    await ask(inSession);
    expect(called).toEqual([1n, 2n, 1n, 1n, 3n, 1n]);
    clock.advance(1000);
    await ask(anyWorker);
    await ask(inSession);
    expect(called.slice(-2)).toEqual([2n, 3n]);
  });

  it("keep the sessions below one parent together, and not with the parent", async () => {
    const { set, called } = workers({ affinity });
    const below = (id: string, parent?: string) => ({ ...anyWorker, session: { id, parent } });
    for (const demand of [below("a", "p"), below("b", "p"), below("p"), below("a"), below("c", "a"), below("a", "p")])
      await set.dispatch(call, demand);
    expect(called).toEqual([1n, 1n, 2n, 3n, 1n, 1n]);
    await expect(set.dispatch(call, below("x".repeat(257), "p"))).resolves.toMatchObject({ instanceId: 1n });
  });

  it("keep a session whose request runs longer than it may be idle", async () => {
    const { set, called, clock } = workers({ affinity });
    const running = await set.dispatch(call, inSession);
    clock.advance(5000);
    await set.dispatch(call, inSession);
    await readToItsEnd(running);
    expect(called).toEqual([1n, 1n]);
  });

  it("take requests of one session together that come before the first is answered, and move them together", async () => {
    const { set, called, outcomes } = workers({ affinity });
    const ask = () => Promise.all([1, 2, 3].map(() => set.dispatch(call, inSession)));
    await ask();
    expect(called).toEqual([1n, 1n, 1n]);
    outcomes.set(1n, refused(1n));
    const moved = await ask();
    expect(moved.map(({ instanceId }) => instanceId)).toEqual([2n, 2n, 2n]);
  });

  it("share turns and sessions with the other models of their endpoint", async () => {
    const { set, setOf, called } = workers({ affinity });
    const adapter = setOf({ name: "adapter" });
    await set.dispatch(call, anyWorker);
    await adapter.dispatch(call, inSession);
    await set.dispatch(call, inSession);
    await adapter.dispatch(call, anyWorker);
    expect(called).toEqual([1n, 2n, 2n, 3n]);
  });

  it("hold a session where its request demanded, rank included, and refuse another demand", async () => {
    const { set } = workers({ affinity, card: { runtime_config: { data_parallel_size: 2 } } });
    const ranks: (number | undefined)[] = [];
    const callFor = (dpRank: number | undefined) => (ranks.push(dpRank), call);
    const ask = (demand: Partial<WorkerDemand>) =>
      set.dispatchPrompt(prompt, { signal: call.signal, callFor }, { ...inSession, ...demand });
    await ask({ instanceId: 3n as InstanceId, dpRank: 1 });
    expect((await ask({})).instanceId).toBe(3n);
    await ask({ instanceId: 3n as InstanceId });
    expect(ranks).toEqual([1, 1, 1]);
    await expect(ask({ instanceId: 3n as InstanceId, dpRank: 0 })).rejects.toMatchObject({ status: 400 });
    await expect(ask({ instanceId: 2n as InstanceId })).rejects.toThrow("the session stays at worker instance 3, rank 1");
    await expect(ask({ dpRank: 1 })).rejects.toThrow("needs its worker");
  });

  it("refuse the id of a session that is too long to be kept, and only then", async () => {
    const demand = (length: number) => ({ ...anyWorker, session: { id: "x".repeat(length) } });
    await expect(workers({ affinity }).set.dispatch(call, demand(257))).rejects.toMatchObject({ status: 400 });
    await expect(workers({ affinity }).set.dispatch(call, demand(256))).resolves.toBeDefined();
    await expect(workers().set.dispatch(call, demand(257))).resolves.toBeDefined();
  });

  it("refuse a session whose worker is too busy, or pass it on, as the mode says; one whose worker is gone moves", async () => {
    for (const [mode, outcome] of [
      ["hard", "overloaded"],
      ["soft", 2n],
    ] as const) {
      const { set, called, busy } = workers({ affinity: { ttlMs: 1000, mode } });
      await set.dispatch(call, inSession);
      busy.add(1n);
      const again = await set.dispatch(call, inSession).then(
        () => called.at(-1),
        (error: AppError) => error.code,
      );
      expect(again).toBe(outcome);
      busy.clear();
      set.members.delete(1n as InstanceId);
      await set.dispatch(call, inSession);
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
    set.members.delete(2n as InstanceId);
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
    const demand = { ...anyWorker, instanceId: 2n as InstanceId };
    await expect(set.dispatch(call, { ...demand, dpRank: 3 })).resolves.toBeDefined();
    await expect(set.dispatch(call, { ...demand, dpRank: 4 })).rejects.toMatchObject({ status: 400 });
    await expect(set.dispatch(call, { ...anyWorker, dpRank: 3 })).rejects.toMatchObject({ status: 400 });
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
