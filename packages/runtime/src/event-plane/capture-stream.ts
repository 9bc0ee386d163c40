// Our own durable log: a JetStream stream that stores what workers publish on NATS core.
//
//   worker ── core publish ──▶ subject ──▶ every subscriber, as ever
//                                    └───▶ stream mmr-kv-events+{namespace}+{component} ──▶ any number of indexers, now or after a restart
//
// The workers know nothing of it (no ack is sent), and their own index for recovery stays alive: JetStream's memory without
// `--durable-kv-events`. The bytes are stored as published. Source: kv.md §4.4.
//
// I1  One stream per component, with exact subjects: a wildcard for all namespaces would not match one with a dot (≤ 1.2), and two such
//     streams refuse each other.
// I2  Two indexers of one component share the stream; whoever comes first makes it, and its limits stay.
import { type JetStreamManager, jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
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

/** Stream names take no dots: other characters than letters, digits, `-`, `_` are written as `%XX`, so no two components share a name. */
export function captureStreamName({ namespace, component }: CapturedComponent): string {
  const encode = (name: string) =>
    encodeURIComponent(name).replaceAll(/[.!~*'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return `mmr-kv-events+${encode(namespace)}+${encode(component)}`;
}

/**
 * Makes the stream unless it is there.
 *
 * @throws JetStreamApiError when another stream has one of the subjects, or the server refuses the limits
 */
export async function ensureCaptureStream(nats: NatsConnection, captured: CapturedComponent, limits: CaptureLimits): Promise<void> {
  const manager = await jetstreamManager(nats, { checkAPI: false });
  const name = captureStreamName(captured);
  if (await exists(manager, name)) return;
  try {
    await manager.streams.add({
      name,
      subjects: [...new Set(kvEventSubjects(captured))],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      max_bytes: limits.bytesMax,
      max_age: limits.ageMaxS * 1e9,
    });
  } catch (error) {
    if (!isNameTaken(error)) throw error; // a second indexer was faster, with other limits
  }
}

async function exists(manager: JetStreamManager, name: string): Promise<boolean> {
  try {
    await manager.streams.info(name);
    return true;
  } catch (error) {
    if (isStreamMissing(error)) return false;
    throw error;
  }
}
