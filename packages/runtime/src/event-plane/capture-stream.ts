// Our own durable log: a JetStream stream that stores what workers publish on NATS core.
//
//   worker ── core publish ──▶ subject ──▶ every subscriber, as ever
//                                    └───▶ stream mmr-kv-events+{namespace}+{component} ──▶ any number of indexers, now or after a restart
//   worker ── ZMQ ──▶ bridge (zmq-bridge.ts) ──▶ mmr.zmq-events.{namespace}.{component} ─┘
//
// The workers know nothing of it (no ack is sent), and their own index for recovery stays alive: JetStream's memory without
// `--durable-kv-events`. The bytes are stored as published. Source: kv.md §4.4.
//
// I1  One stream per component, with exact subjects: a wildcard for all namespaces would not match one with a dot (≤ 1.2), and two such
//     streams refuse each other.
// I2  Two indexers of one component share the stream: whoever comes first makes it, and each only ever widens its limits and subjects.
import { jetstream, type JetStreamManager, jetstreamManager, RetentionPolicy, StorageType, type StreamConfig } from "@nats-io/jetstream";
import { eventSubject } from "@mm-router/protocol";
import type { NatsConnection } from "@nats-io/transport-node";
import { isNameTaken, isStreamMissing } from "./stream-errors.ts";

export interface CapturedComponent {
  readonly namespace: string;
  readonly component: string;
}

export interface CaptureLimits {
  /** A text block takes about 57 bytes. */
  readonly bytesMax: number;
  readonly ageMaxS: number;
}

/** The core subjects on which a component's workers of any release publish KV events. */
export function kvEventSubjects({ namespace, component }: CapturedComponent): string[] {
  const anyEndpoint = "*";
  const scoped = eventSubject("scoped", { namespace, component }, "kv-events");
  return [
    eventSubject("flat", { namespace, component }, "kv-events"),
    scoped.replace(/\.kv-events$/, `.endpoint.${anyEndpoint}.kv-events`),
  ];
}

/** The subject of what is bridged from ZMQ: nobody but the stream listens there. */
export function bridgeSubject({ namespace, component }: CapturedComponent): string {
  return `mmr.zmq-events.${encodeToken(namespace)}.${encodeToken(component)}`;
}

export function captureStreamName({ namespace, component }: CapturedComponent): string {
  return `mmr-kv-events+${encodeToken(namespace)}+${encodeToken(component)}`;
}

/** Neither stream names nor tokens take dots: what is no letter, digit, `-` or `_` becomes `%XX`, so no two components share a name. */
export function encodeToken(name: string): string {
  return encodeURIComponent(name).replaceAll(/[.!~*'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/**
 * Makes the stream, or widens the one that is there where it is too small.
 *
 * @throws JetStreamApiError when another stream has one of the subjects, or the server refuses the limits
 */
export async function ensureCaptureStream(nats: NatsConnection, captured: CapturedComponent, limits: CaptureLimits): Promise<void> {
  const manager = await jetstreamManager(nats, { checkAPI: false });
  const wanted = {
    name: captureStreamName(captured),
    subjects: [...new Set([...kvEventSubjects(captured), bridgeSubject(captured)])],
    max_bytes: limits.bytesMax,
    max_age: limits.ageMaxS * 1e9,
  };
  const known = await configOf(manager, wanted.name);
  if (known !== undefined) return await widen(manager, known, wanted);
  try {
    await manager.streams.add({ ...wanted, retention: RetentionPolicy.Limits, storage: StorageType.File });
  } catch (error) {
    if (!isNameTaken(error)) throw error; // a second indexer was faster, with other limits
  }
}

/** Publishes to the stream; resolves when it has stored the message, or had it before under this id. */
export function capturePublisher(
  nats: NatsConnection,
  captured: CapturedComponent,
): (bytes: Uint8Array, messageId: string) => Promise<void> {
  const client = jetstream(nats);
  const subject = bridgeSubject(captured);
  return async (bytes, msgID) => {
    await client.publish(subject, bytes, { msgID });
  };
}

type Widened = Pick<StreamConfig, "name" | "subjects" | "max_bytes" | "max_age">;

async function widen(manager: JetStreamManager, known: StreamConfig, wanted: Widened): Promise<void> {
  const subjects = [...new Set([...known.subjects, ...wanted.subjects])];
  const max_bytes = widerOf(known.max_bytes, wanted.max_bytes);
  const max_age = widerOf(known.max_age, wanted.max_age);
  if (subjects.length === known.subjects.length && max_bytes === known.max_bytes && max_age === known.max_age) return;
  await manager.streams.update(known.name, { ...known, subjects, max_bytes, max_age });
}

/** No limit is written as 0 or −1. */
function widerOf(known: number, wanted: number): number {
  return known <= 0 ? known : Math.max(known, wanted);
}

async function configOf(manager: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (isStreamMissing(error)) return undefined;
    throw error;
  }
}
