import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "./errors.ts";
import type { InstanceId } from "./ids.ts";
import {
  cardKey,
  cardPrefix,
  dynAddressOf,
  eventChannelKey,
  eventScopeOf,
  eventSourceKey,
  eventSubject,
  type EventTopic,
  instanceKey,
  instancePrefix,
  kvStreamName,
  natsSubjectOf,
  parseCardKey,
  parseDynAddress,
  parseInstanceKey,
  radixBucketName,
  recoveryEndpointOf,
  slugOf,
  tcpPathOf,
} from "./names.ts";
import { dialectOf } from "./dialect.ts";
import { parseJson } from "./json.ts";

interface Recorded {
  readonly key: string;
  readonly value: string;
}
const discovery = golden<{ instances: (Recorded & { version: string })[]; cards: Recorded[]; mocker: unknown }>("wire/discovery.json");

const name = fc.stringMatching(/^[a-z0-9_-]{1,12}$/);
const address = fc.record({ namespace: name, component: name, endpoint: name });
const instanceId = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((id) => id as InstanceId);

describe("instance and card keys", () => {
  it("are the keys that real processes wrote", () => {
    expect(discovery.instances.length).toBeGreaterThan(10);
    for (const { key, value } of discovery.instances) {
      const { namespace, component, endpoint, instance_id } = parseJson(value) as Record<string, string>;
      const named = { namespace: namespace!, component: component!, endpoint: endpoint! };
      expect(instanceKey(named, BigInt(instance_id!) as InstanceId)).toBe(key);
      expect(parseInstanceKey(key)).toEqual({ address: named, instanceId: instance_id });
    }
    for (const { key } of discovery.cards) {
      const { address: named, instanceId: id } = parseCardKey(key)!;
      expect(cardKey(named, id)).toBe(key);
    }
  });

  it("parse back to what they were made of", () => {
    fc.assert(
      fc.property(address, instanceId, fc.option(name, { nil: undefined }), (named, id, suffix) => {
        expect(parseInstanceKey(instanceKey(named, id))).toEqual({ address: named, instanceId: id });
        expect(parseCardKey(cardKey(named, id, suffix))).toEqual({
          address: named,
          instanceId: id,
          ...(suffix === undefined ? {} : { suffix }),
        });
      }),
    );
  });

  it.each([
    "v1/instances/ns/c/e",
    "v1/instances/ns/c/e/xyz",
    "v1/instances/ns/c/e/1/2",
    "v1/instances/ns//e/1",
    "v1/mdc/ns/c/e/1",
    "v2/instances/ns/c/e/1",
    "v1/instances/ns/c/e/12345678901234567",
    "",
  ])("are undefined for %s", (key) => {
    expect(parseInstanceKey(key)).toBeUndefined();
  });

  it("have prefixes that end at a path boundary", () => {
    const generate = { namespace: "ns", component: "backend", endpoint: "generate" };
    expect(instancePrefix(generate)).toBe("v1/instances/ns/backend/generate/");
    expect(instanceKey({ ...generate, endpoint: "generate2" }, 1n as InstanceId).startsWith(instancePrefix(generate))).toBe(false);
    expect(instancePrefix({ namespace: "ns", component: "backend" })).toBe("v1/instances/ns/backend/");
    expect(instancePrefix()).toBe("v1/instances/");
    expect(cardPrefix({ namespace: "ns" })).toBe("v1/mdc/ns/");
  });
});

describe("request plane names", () => {
  it("are the transports that real processes advertised, of both TCP forms", () => {
    for (const { key, value, version } of discovery.instances) {
      const { address: named, instanceId: id } = parseInstanceKey(key)!;
      const { transport } = parseJson(value) as { transport: { nats_tcp?: string; tcp?: string } };
      if (transport.nats_tcp !== undefined) expect(natsSubjectOf(named, id)).toBe(transport.nats_tcp);
      else expect(transport.tcp!.slice(transport.tcp!.indexOf("/") + 1)).toBe(tcpPathOf(named, id, dialectOf(version).tcpPath));
    }
  });

  it("parse and print dyn:// addresses, nested namespaces included", () => {
    expect(parseDynAddress("dyn://default.trtllm.generate")).toEqual({ namespace: "default", component: "trtllm", endpoint: "generate" });
    expect(dynAddressOf(parseDynAddress("dyn://a.b.backend.generate"))).toBe("dyn://a.b.backend.generate");
    for (const bad of ["default.trtllm.generate", "dyn://trtllm.generate", "dyn://Default.trtllm.generate", "dyn://a.b/c.d", ""]) {
      expect(() => parseDynAddress(bad)).toThrow(AppError);
    }
  });

  it("slug as upstream does", () => {
    expect(slugOf("/models/Foo.Bar")).toBe("models_foo_bar");
    expect(slugOf("Qwen/Qwen2-VL-2B-Instruct")).toBe("qwen_qwen2-vl-2b-instruct");
  });
});

describe("event plane names", () => {
  interface Run {
    readonly release: string;
    readonly event_plane: string;
    readonly namespace: string;
    readonly etcd_records: Record<string, string>;
    readonly nats_messages?: { subject: string }[];
  }
  const runs = golden<{ runs: Run[] }>("kv/events-wire.json").runs;

  it("are the keys of real channel and source records", () => {
    let checked = 0;
    for (const { release, etcd_records } of runs) {
      const { eventNaming } = dialectOf(release);
      for (const [key, record] of Object.entries(etcd_records)) {
        const expected = recordKey(eventNaming, parseJson(record) as Record<string, unknown>);
        if (expected === undefined) continue;
        expect(expected).toBe(key);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(10);
  });

  it("are the subjects that real publishers used", () => {
    const subjects = new Set<string>();
    for (const { release, namespace, nats_messages } of runs) {
      const dialect = dialectOf(release);
      const backend = { namespace, component: "backend", endpoint: "generate" };
      const core = eventSubject(dialect.eventNaming, eventScopeOf(dialect.eventNaming, backend, "kv-events"), "kv-events");
      const durable = `${kvStreamName(backend)}.${dialect.jetStreamSubject ?? ""}`;
      for (const { subject } of nats_messages ?? []) {
        expect([core, durable]).toContain(subject);
        subjects.add(subject);
      }
    }
    expect(subjects.size).toBeGreaterThan(5);
  });

  it("encode dots of a namespace from 1.4 on and leave them raw before", () => {
    const nested = { namespace: "a.b", component: "c", endpoint: "e" };
    expect(eventSubject("scoped", nested, "kv-events")).toBe("namespace.a%2Eb.component.c.endpoint.e.kv-events");
    expect(eventSubject("flat", eventScopeOf("flat", nested, "kv_metrics"), "kv_metrics")).toBe("namespace.a.b.kv_metrics");
  });

  it("collapse dots and dashes in stream and bucket names", () => {
    expect(kvStreamName({ namespace: "kvw100", component: "backend" })).toBe("namespace-kvw100-component-backend-kv-events");
    expect(kvStreamName({ namespace: "a.b", component: "tensorrt_llm" })).toBe("namespace-a-b-component-tensorrt-llm-kv-events");
    expect(radixBucketName({ namespace: "ns", component: "backend" })).toBe("namespace-ns-component-backend-radix-bucket");
  });

  it("name the recovery endpoints of each release", () => {
    const rank = { dpRank: 1, publisherId: 0x1f462261c4e03n };
    expect(recoveryEndpointOf("component", rank)).toBe("worker_kv_indexer_query");
    expect(recoveryEndpointOf("rank", rank)).toBe("worker_kv_indexer_query_dp1");
    expect(recoveryEndpointOf("publisher", rank)).toBe("worker_kv_query_source_1f462261c4e03");
  });
});

/** The key that our names give the record; undefined for other kinds of record. */
function recordKey(naming: "flat" | "scoped", record: Record<string, unknown>): string | undefined {
  const topic = record["topic"] as EventTopic;
  if (record["type"] === "EventChannel" && naming === "flat") {
    const component = record["component"] as string;
    const scope = { namespace: record["namespace"] as string, ...(component === "" ? {} : { component }) };
    return eventChannelKey("flat", scope, topic, BigInt(record["instance_id"] as bigint));
  }
  const endpoint = (record["scope"] as { endpoint?: { namespace: string; component: string; name: string } } | undefined)?.endpoint;
  if (endpoint === undefined) return undefined;
  const scope = { namespace: endpoint.namespace, component: endpoint.component, endpoint: endpoint.name };
  if (record["type"] === "EventChannel") return eventChannelKey("scoped", scope, topic, BigInt(record["instance_id"] as bigint));
  return record["type"] === "EventSource" ? eventSourceKey(scope, topic, BigInt(record["publisher_id"] as bigint)) : undefined;
}
