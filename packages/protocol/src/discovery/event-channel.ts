// Event channels and sources: who publishes a topic, where, and (≥ 1.4) for which rank.
//
//   channel, flat   {"type":"EventChannel","namespace","component","topic","instance_id":u64,"transport":T}                       ≤ 1.2
//   channel, scoped {"type":"EventChannel","scope":S,"topic","instance_id":publisher id,"transport":T}                            ≥ 1.4
//   source          {"type":"EventSource","scope":S,"topic","publisher_id":u64,"metadata":{"kv_state_endpoint":A,
//                     "worker":{"worker_id":u64,"dp_rank":n},"publisher_id":u64,"recovery_target":INSTANCE}}                      ≥ 1.4
//   T               {"kind":"Nats","config":{"subject_prefix":"…"}} | {"kind":"Zmq","config":{"endpoint":"tcp://ip:port"}}
//   S               {"kind":"endpoint","endpoint":{"namespace","component","name"}}
//   A               {"namespace","component","name"}          INSTANCE   members of an instance record without its "type"
//
// Source: etcd contents of 0.9.1 … 1.6.1 (golden/kv/events-wire.json, etcd_records); keys: names.ts.
// G1  The id of a scoped channel is the publisher's, random and below 2^53: only a source says whose it is.
import { z } from "zod";
import type { InstanceId, WorkerKey } from "../ids.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { type EndpointAddress, type EventNaming, type EventScope, instanceKey } from "../names.ts";
import { decodeAs } from "../schema.ts";
import { u64, type U64 } from "../u64.ts";
import { decodeInstance, encodeInstance, type Instance } from "./instance.ts";

export type EventTransport =
  | { readonly kind: "nats"; readonly subjectPrefix: string }
  | { readonly kind: "zmq"; readonly endpoint: string };

export interface EventChannel {
  readonly naming: EventNaming;
  readonly scope: EventScope;
  readonly topic: string;
  /** `flat`: the instance id; `scoped`: the publisher id. */
  readonly id: U64;
  readonly transport: EventTransport;
}

export interface EventSource {
  readonly scope: EndpointAddress;
  readonly topic: string;
  readonly publisherId: U64;
  readonly worker: WorkerKey;
  /** Answers recovery queries for this rank; absent for decode workers. */
  readonly recoveryTarget?: Instance;
}

const wireU64 = z.unknown().transform((value) => u64(value, "id"));
const wireAddress = z.looseObject({ namespace: z.string(), component: z.string(), name: z.string() });
const endpointScope = z.looseObject({ kind: z.literal("endpoint"), endpoint: wireAddress });
const transport = z.discriminatedUnion("kind", [
  z.looseObject({ kind: z.literal("Nats"), config: z.looseObject({ subject_prefix: z.string() }) }),
  z.looseObject({ kind: z.literal("Zmq"), config: z.looseObject({ endpoint: z.string() }) }),
]);
const scopedChannel = z.looseObject({ scope: endpointScope, topic: z.string(), instance_id: wireU64, transport });
const flatChannel = z.looseObject({
  namespace: z.string(),
  component: z.string().nullish(),
  topic: z.string(),
  instance_id: wireU64,
  transport,
});
const target = z.looseObject({ component: z.string(), endpoint: z.string(), namespace: z.string(), instance_id: wireU64 });
const source = z.looseObject({
  scope: endpointScope,
  topic: z.string(),
  publisher_id: wireU64,
  metadata: z.looseObject({
    worker: z.looseObject({ worker_id: wireU64, dp_rank: z.int().nonnegative() }),
    recovery_target: target.nullish(),
  }),
});

/** @throws AppError `protocol_error`, also for a transport other than NATS and ZMQ and for a scope other than an endpoint's */
export function decodeEventChannel(value: string): EventChannel {
  const json = parseJson(value);
  const isScoped = typeof json === "object" && json !== null && "scope" in json;
  if (isScoped) {
    const record = decodeAs(scopedChannel, json, "event channel");
    return {
      naming: "scoped",
      scope: addressOf(record.scope.endpoint),
      topic: record.topic,
      id: record.instance_id,
      transport: transportOf(record.transport),
    };
  }
  const record = decodeAs(flatChannel, json, "event channel");
  const scope = { namespace: record.namespace, ...(record.component && { component: record.component }) };
  return { naming: "flat", scope, topic: record.topic, id: record.instance_id, transport: transportOf(record.transport) };
}

export function encodeEventChannel({ naming, scope, topic, id, transport }: EventChannel): string {
  const where = naming === "scoped" ? { scope: scopeWireOf(scope) } : { namespace: scope.namespace, component: scope.component ?? "" };
  const wireTransport =
    transport.kind === "nats"
      ? { kind: "Nats", config: { subject_prefix: transport.subjectPrefix } }
      : { kind: "Zmq", config: { endpoint: transport.endpoint } };
  return stringifyJson({ type: "EventChannel", ...where, topic, instance_id: id, transport: wireTransport });
}

/** @throws AppError `protocol_error` */
export function decodeEventSource(value: string): EventSource {
  const { scope, topic, publisher_id, metadata } = decodeAs(source, parseJson(value), "event source");
  const { worker, recovery_target } = metadata;
  return {
    scope: addressOf(scope.endpoint),
    topic,
    publisherId: publisher_id,
    worker: { workerId: worker.worker_id as InstanceId, dpRank: worker.dp_rank },
    ...(recovery_target && { recoveryTarget: targetOf(recovery_target) }),
  };
}

export function encodeEventSource({ scope, topic, publisherId, worker, recoveryTarget }: EventSource): string {
  const metadata = {
    kv_state_endpoint: addressWireOf(scope),
    worker: { worker_id: worker.workerId, dp_rank: worker.dpRank },
    publisher_id: publisherId,
    recovery_target: recoveryTarget && targetWireOf(recoveryTarget),
  };
  return stringifyJson({ type: "EventSource", scope: scopeWireOf(scope), topic, publisher_id: publisherId, metadata });
}

function targetOf(record: z.infer<typeof target>): Instance {
  const { namespace, component, endpoint, instance_id } = record;
  return decodeInstance(instanceKey({ namespace, component, endpoint }, instance_id as InstanceId), stringifyJson(record));
}

function targetWireOf(instance: Instance): unknown {
  const { type: _, ...members } = parseJson(encodeInstance(instance)) as Record<string, unknown>;
  return members;
}

function transportOf(record: z.infer<typeof transport>): EventTransport {
  if (record.kind === "Nats") return { kind: "nats", subjectPrefix: record.config.subject_prefix };
  return { kind: "zmq", endpoint: record.config.endpoint };
}

function addressOf({ namespace, component, name }: z.infer<typeof wireAddress>): EndpointAddress {
  return { namespace, component, endpoint: name };
}

function addressWireOf({ namespace, component, endpoint }: EventScope): unknown {
  return { namespace, component, name: endpoint };
}

function scopeWireOf(scope: EventScope): unknown {
  return { kind: "endpoint", endpoint: addressWireOf(scope) };
}
