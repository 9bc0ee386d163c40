import { encodeInstance, type Instance, type InstanceId, instanceKey } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ManualClock } from "./flow/index.ts";
import { LiveInstances } from "./instance-set.ts";

const address = { namespace: "ns", component: "backend", endpoint: "generate" };
const FIRST = 8_328_741_188_661_731_592n;

function instanceOf(number: number): Instance {
  return { address, instanceId: (FIRST + BigInt(number)) as InstanceId, transport: { kind: "nats", subject: `s-${number}` } };
}

function recordOf(number: number): [key: string, value: string] {
  const instance = instanceOf(number);
  return [instanceKey(address, instance.instanceId), encodeInstance(instance)];
}

function setWith(...numbers: number[]): { instances: LiveInstances; clock: ManualClock } {
  const clock = new ManualClock();
  const instances = new LiveInstances({ address, clock, setAsideMs: 5_000 });
  for (const number of numbers) instances.put(...recordOf(number));
  return { instances, clock };
}

const idsOf = (list: readonly Instance[]) => list.map(({ instanceId }) => Number(instanceId - FIRST));

describe("LiveInstances", () => {
  it("lists what was put and not deleted, sorted by id, under any history", () => {
    const step = fc.record({ put: fc.boolean(), number: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (history) => {
        const { instances } = setWith();
        const model = new Set<number>();
        for (const { put, number } of history) {
          if (put) instances.put(...recordOf(number));
          else instances.delete(recordOf(number)[0]);
          if (put) model.add(number);
          else model.delete(number);
        }
        expect(idsOf(instances.list())).toEqual([...model].sort((a, b) => a - b));
      }),
    );
  });

  it("takes the records of real processes of every release, ids beyond 2^53 exact", () => {
    const { instances: records } = golden<{ instances: { key: string; value: string }[] }>("wire/discovery.json");
    for (const { key, value } of records) {
      const [namespace, component, endpoint, id] = key.split("/").slice(2) as [string, string, string, string];
      const instances = new LiveInstances({ address: { namespace, component, endpoint }, clock: new ManualClock(), setAsideMs: 1 });
      instances.put(key, value);
      expect(instances.list().map(({ instanceId }) => instanceId.toString(16))).toEqual([id]);
      expect(value).toContain(`"instance_id":${instances.list()[0]!.instanceId}`);
    }
  });

  it("ignores endpoints whose name only begins alike", () => {
    const { instances } = setWith(1);
    const other = { ...address, endpoint: "generate2" };
    const stranger = { ...instanceOf(2), address: other };
    instances.put(instanceKey(other, stranger.instanceId), encodeInstance(stranger));
    instances.delete(instanceKey(other, instanceOf(1).instanceId));
    expect(idsOf(instances.list())).toEqual([1]);
  });

  it("keeps the record it could read when a later one cannot be read", () => {
    const { instances } = setWith(1);
    expect(() => instances.put(recordOf(1)[0], "{")).toThrow();
    expect(() => instances.put(recordOf(2)[0], '{"transport":{"http":"http://x"}}')).toThrow();
    expect(idsOf(instances.list())).toEqual([1]);
  });

  it("hides an instance that is set aside until its time is over, and lists it all the while", () => {
    const { instances, clock } = setWith(1, 2);
    instances.setAside(instanceOf(1).instanceId);
    expect(idsOf(instances.available())).toEqual([2]);
    expect(idsOf(instances.list())).toEqual([1, 2]);
    clock.advance(4_999);
    expect(idsOf(instances.available())).toEqual([2]);
    clock.advance(1);
    expect(idsOf(instances.available())).toEqual([1, 2]);
  });

  it("offers all when every instance is set aside", () => {
    const { instances } = setWith(1, 2);
    for (const number of [1, 2]) instances.setAside(instanceOf(number).instanceId, 1_000);
    expect(idsOf(instances.available())).toEqual([1, 2]);
  });

  it("forgets that an instance was set aside when its record goes", () => {
    const { instances } = setWith(1, 2);
    instances.setAside(instanceOf(1).instanceId);
    instances.delete(recordOf(1)[0]);
    instances.put(...recordOf(1));
    expect(idsOf(instances.available())).toEqual([1, 2]);
  });

  it("tells listeners of every change until they stop, and of nothing else", () => {
    const { instances } = setWith();
    let told = 0;
    const stop = instances.onChange(() => told++);
    instances.put(...recordOf(1));
    instances.delete(recordOf(2)[0]);
    instances.setAside(instanceOf(1).instanceId);
    expect(told).toBe(1);
    stop();
    instances.delete(recordOf(1)[0]);
    expect(told).toBe(1);
  });
});
