import { AppError, type Instance, type InstanceId } from "@mm-router/protocol";
import { encodeInstance, instanceKey } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { ManualClock } from "./flow/index.ts";
import { LiveInstances } from "./instance-set.ts";
import { type InstanceCaller, PushRouter } from "./push-router.ts";
import { type Call, notTaken, type ResponseStream } from "./request-plane/call.ts";
import type { StreamState } from "./request-plane/stream-state.ts";

const address = { namespace: "ns", component: "backend", endpoint: "generate" };
const call: Call = { contextId: "c", body: Buffer.from("{}"), signal: new AbortController().signal };
const idOf = (number: number) => BigInt(number) as InstanceId;

/** What an instance does with a request; the default is to take it. */
type Behaviour = AppError | "lost later" | undefined;

function routerOver(behaviours: Record<number, Behaviour>, random?: () => number) {
  const instances = new LiveInstances({ address, clock: new ManualClock(), setAsideMs: 5_000 });
  for (const number of Object.keys(behaviours).map(Number)) {
    const instance: Instance = { address, instanceId: idOf(number), transport: { kind: "nats", subject: `s-${number}` } };
    instances.put(instanceKey(address, instance.instanceId), encodeInstance(instance));
  }
  const called: number[] = [];
  const caller: InstanceCaller = {
    async call(instance, _call, onOver) {
      const number = Number(instance.instanceId);
      called.push(number);
      const behaviour = behaviours[number];
      if (behaviour instanceof AppError) {
        onOver({ kind: "refused", error: behaviour });
        throw behaviour;
      }
      if (behaviour === "lost later") onOver({ kind: "lost", error: new AppError("worker_lost", "gone") } satisfies StreamState);
      return { instanceId: instance.instanceId } as ResponseStream;
    },
    async ask(instance, question) {
      const number = Number(instance.instanceId);
      called.push(number);
      const behaviour = behaviours[number];
      if (behaviour instanceof AppError) throw behaviour;
      return Buffer.concat([Buffer.of(number), question]);
    },
  };
  const router = new PushRouter({ address, instances, caller, ...(random && { random }) });
  return { router, instances, called };
}

const refused = (number: number, code: "worker_lost" | "overloaded" | "deadline_exceeded" = "worker_lost") =>
  notTaken(code, "not taken", { instanceId: idOf(number) });

const available = (instances: LiveInstances) => instances.available().map(({ instanceId }) => Number(instanceId));

describe("ask", () => {
  it("gives the answer of the next instance, passing over one that is not there, which is set aside", async () => {
    const { router, called, instances } = routerOver({ 10: refused(10), 20: undefined, 30: undefined });
    expect(await router.ask(Buffer.of(1))).toEqual(Buffer.of(20, 1));
    expect(await router.ask(Buffer.of(2))).toEqual(Buffer.of(30, 2));
    expect(called).toEqual([10, 20, 30]);
    expect(available(instances)).toEqual([20, 30]);
  });
});

describe("roundRobin", () => {
  it("takes the instances in the order of their ids, then from the start", async () => {
    const { router, called } = routerOver({ 30: undefined, 10: undefined, 20: undefined });
    for (let turn = 0; turn < 5; turn++) await router.roundRobin(call);
    expect(called).toEqual([10, 20, 30, 10, 20]);
  });

  it("goes on after the last one used when that one has gone", async () => {
    const { router, instances, called } = routerOver({ 10: undefined, 20: undefined, 30: undefined });
    await router.roundRobin(call);
    await router.roundRobin(call);
    instances.delete(instanceKey(address, idOf(20)));
    await router.roundRobin(call);
    expect(called).toEqual([10, 20, 30]);
  });

  it("gives a request that was not taken to the next instance and sets the first one aside", async () => {
    const { router, instances, called } = routerOver({ 10: refused(10), 20: undefined });
    expect((await router.roundRobin(call)).instanceId).toBe(20n);
    expect(called).toEqual([10, 20]);
    expect(available(instances)).toEqual([20]);
  });

  it("tries each instance once, then throws the last refusal", async () => {
    const { router, called } = routerOver({ 10: refused(10), 20: refused(20, "deadline_exceeded") });
    await expect(router.roundRobin(call)).rejects.toMatchObject({ code: "deadline_exceeded" });
    expect(called).toEqual([10, 20]);
  });

  it("tries no other instance after an error that is not a refusal", async () => {
    const { router, called } = routerOver({ 10: new AppError("body_too_large", "too large"), 20: undefined });
    await expect(router.roundRobin(call)).rejects.toMatchObject({ code: "body_too_large" });
    expect(called).toEqual([10]);
  });

  it("says that nobody serves when there is no instance", async () => {
    await expect(routerOver({}).router.roundRobin(call)).rejects.toMatchObject({
      code: "no_instances",
      message: "no instance serves ns/backend/generate",
    });
  });
});

describe("random", () => {
  it("takes the instance that chance names, and the ones after it when it is not taken", async () => {
    const { router, called } = routerOver({ 10: undefined, 20: refused(20), 30: refused(30) }, () => 0.5);
    expect((await router.random(call)).instanceId).toBe(10n);
    expect(called).toEqual([20, 30, 10]);
  });
});

describe("direct", () => {
  it("calls the instance also when it is set aside, and no other", async () => {
    const { router, instances, called } = routerOver({ 10: undefined, 20: undefined });
    instances.setAside(idOf(10));
    await router.direct(idOf(10), call);
    expect(called).toEqual([10]);
  });

  it("rejects for an unknown id in a way that lets another instance be chosen", async () => {
    const error = await routerOver({ 10: undefined })
      .router.direct(idOf(255), call)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "no_instances",
      details: { taken: false },
      message: "instance ff is not found for endpoint ns/backend/generate",
    });
  });
});

describe("setting aside", () => {
  it("follows a stream that is lost later, too", async () => {
    const { router, instances } = routerOver({ 10: "lost later", 20: undefined });
    await router.direct(idOf(10), call);
    expect(available(instances)).toEqual([20]);
  });

  it("does not follow overload: the instance is alive", async () => {
    const { router, instances } = routerOver({ 10: refused(10, "overloaded"), 20: undefined });
    await router.roundRobin(call);
    expect(available(instances)).toEqual([10, 20]);
  });
});
