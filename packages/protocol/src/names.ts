// Names on the wire: etcd keys, NATS subjects and streams, TCP paths, `dyn://` addresses.
//
//   instance        v1/instances/{namespace}/{component}/{endpoint}/{id}          id: hex, no prefix, no padding
//   model card      v1/mdc/{namespace}/{component}/{endpoint}/{id}[/{LoRA slug}]
//   event channel   flat    v1/event_channels/{namespace}/{component or nothing}/{topic}/{id}
//                   scoped  v1/event_channels/namespace/{ns}/component/{c}/endpoint/{e}/topic/{topic}/{publisher id}
//   event source    scoped only, under v1/event_sources/
//   request         NATS subject {namespace}_{component}.{endpoint}-{id}, TCP path {id}/{namespace}/{component}/{endpoint}
//
// Source: etcd and NATS contents of running processes of all releases (golden/wire/discovery.json, golden/kv/events-wire.json,
// golden/worker/*.json). Which naming a release uses is `dialect.eventNaming`.
// I1  Prefixes end with "/", so that `…/generate/` does not match `…/generate2/`.
// I2  A parser gives undefined for a key of another shape: other keys may appear under a prefix at any time.
import { AppError } from "./errors.ts";
import type { InstanceId } from "./ids.ts";
import { hexOf, parseHex, type U64 } from "./u64.ts";

/** `dyn://{namespace}.{component}.{endpoint}`; a nested namespace contains dots. */
export interface EndpointAddress {
  readonly namespace: string;
  readonly component: string;
  readonly endpoint: string;
}

/** @throws AppError `configuration` when the text is no such address */
export function parseDynAddress(text: string): EndpointAddress {
  const match = /^dyn:\/\/([a-z0-9-_.]+)\.([a-z0-9-_]+)\.([a-z0-9-_]+)$/.exec(text);
  if (match === null) throw new AppError("configuration", `"${text}" is not of the form dyn://namespace.component.endpoint`);
  return { namespace: match[1]!, component: match[2]!, endpoint: match[3]! };
}

export function dynAddressOf(address: EndpointAddress): string {
  return `dyn://${address.namespace}.${address.component}.${address.endpoint}`;
}

export function sameAddress(a: EndpointAddress, b: EndpointAddress): boolean {
  return a.namespace === b.namespace && a.component === b.component && a.endpoint === b.endpoint;
}

/** Lower case, every character outside `a-z0-9-_` as `_`, leading `_` removed: `/models/Foo.Bar` → `models_foo_bar`. */
export function slugOf(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9\-_]/gu, "_")
    .replace(/^_+/, "");
}

// ---- instances and cards ----

export interface InstanceKey {
  readonly address: EndpointAddress;
  readonly instanceId: InstanceId;
}

export interface CardKey extends InstanceKey {
  /** Slug of a LoRA adapter that has a card of its own. */
  readonly suffix?: string;
}

/** As much of an address as a prefix names. */
export type AddressPrefix = Partial<EndpointAddress>;

export function instanceKey(address: EndpointAddress, instanceId: InstanceId): string {
  return `${instancePrefix(address)}${hexOf(instanceId)}`;
}

/** Prefix of all instances of an endpoint, component or namespace, or of all there are. */
export function instancePrefix(prefix: AddressPrefix = {}): string {
  return `v1/instances/${prefixPath(prefix)}`;
}

export function parseInstanceKey(key: string): InstanceKey | undefined {
  const parts = key.split("/");
  return parts.length === 6 && parts[0] === "v1" && parts[1] === "instances" ? addressAndId(parts) : undefined;
}

export function cardKey(address: EndpointAddress, instanceId: InstanceId, suffix?: string): string {
  const key = `${cardPrefix(address)}${hexOf(instanceId)}`;
  return suffix === undefined ? key : `${key}/${suffix}`;
}

export function cardPrefix(prefix: AddressPrefix = {}): string {
  return `v1/mdc/${prefixPath(prefix)}`;
}

export function parseCardKey(key: string): CardKey | undefined {
  const parts = key.split("/");
  if (parts[0] !== "v1" || parts[1] !== "mdc" || parts.length < 6 || parts.length > 7) return undefined;
  const named = addressAndId(parts);
  const suffix = parts[6];
  return named === undefined || suffix === undefined ? named : { ...named, suffix };
}

function prefixPath({ namespace, component, endpoint }: AddressPrefix): string {
  if (namespace === undefined) return "";
  if (component === undefined) return `${namespace}/`;
  return endpoint === undefined ? `${namespace}/${component}/` : `${namespace}/${component}/${endpoint}/`;
}

/** Of `["v1", room, namespace, component, endpoint, id, …]`. */
function addressAndId(parts: readonly string[]): InstanceKey | undefined {
  const [, , namespace = "", component = "", endpoint = "", id = ""] = parts;
  const instanceId = parseHex(id);
  if (instanceId === undefined || namespace === "" || component === "" || endpoint === "") return undefined;
  return { address: { namespace, component, endpoint }, instanceId: instanceId as InstanceId };
}

// ---- request plane ----

/** The micro service that a worker is on NATS; also the first token of its subjects. */
export function natsServiceNameOf(address: EndpointAddress): string {
  return slugOf(`${address.namespace}_${address.component}`);
}

export function natsSubjectOf(address: EndpointAddress, instanceId: InstanceId): string {
  return `${natsServiceNameOf(address)}.${address.endpoint}-${hexOf(instanceId)}`;
}

/** What follows `ip:port/` in a TCP transport. Callers of every release take either form as an opaque routing key. */
export function tcpPathOf(address: EndpointAddress, instanceId: InstanceId, form: "long" | "short" = "long"): string {
  const id = hexOf(instanceId);
  return form === "short" ? `${id}/${address.endpoint}` : `${id}/${address.namespace}/${address.component}/${address.endpoint}`;
}

// ---- event plane ----

/** `flat`: ≤ 1.2, topics belong to a component or namespace. `scoped`: ≥ 1.4, topics belong to an endpoint. */
export type EventNaming = "flat" | "scoped";

export type EventTopic = "kv-events" | "kv_metrics" | "active_sequences_events" | "forward-pass-metrics" | "kv-hit-rate";

/** Whose topic it is: an endpoint's, a component's, or a namespace's. */
export interface EventScope {
  readonly namespace: string;
  readonly component?: string;
  readonly endpoint?: string;
}

const namespaceTopics: ReadonlySet<EventTopic> = new Set(["kv_metrics", "kv-hit-rate"]);

/** Where an endpoint's worker or router speaks about `topic`. */
export function eventScopeOf(naming: EventNaming, address: EndpointAddress, topic: EventTopic): EventScope {
  if (naming === "scoped") return address;
  return namespaceTopics.has(topic) ? { namespace: address.namespace } : { namespace: address.namespace, component: address.component };
}

/** `subject_prefix` of a channel record; the subject is this, a dot and the topic. */
export function eventSubjectPrefix(naming: EventNaming, scope: EventScope): string {
  const encode = naming === "scoped" ? encodeSegment : (name: string) => name;
  return scopePath(scope, encode).join(".");
}

export function eventSubject(naming: EventNaming, scope: EventScope, topic: EventTopic): string {
  return `${eventSubjectPrefix(naming, scope)}.${topic}`;
}

/** @param id flat: the instance id; scoped: the publisher id */
export function eventChannelKey(naming: EventNaming, scope: EventScope, topic: EventTopic, id: U64): string {
  if (naming === "flat") return `v1/event_channels/${scope.namespace}/${scope.component ?? ""}/${topic}/${hexOf(id)}`;
  return `v1/event_channels/${scopedTopicPath(scope, topic)}/${hexOf(id)}`;
}

export function eventSourceKey(scope: EventScope, topic: EventTopic, publisherId: U64): string {
  return `v1/event_sources/${scopedTopicPath(scope, topic)}/${hexOf(publisherId)}`;
}

/** All channels of both namings; records say themselves whose they are. */
export const eventChannelPrefix = "v1/event_channels/";
export const eventSourcePrefix = "v1/event_sources/";

function scopedTopicPath(scope: EventScope, topic: EventTopic): string {
  return [...scopePath(scope, encodeSegment), "topic", topic].join("/");
}

function scopePath({ namespace, component, endpoint }: EventScope, encode: (name: string) => string): string[] {
  const path = ["namespace", encode(namespace)];
  if (component !== undefined) path.push("component", encode(component));
  if (endpoint !== undefined) path.push("endpoint", encode(endpoint));
  return path;
}

/** Percent-encoding of ≥ 1.4: every UTF-8 byte outside `A-Za-z0-9_-` as `%XX`. */
function encodeSegment(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]+/gu, (run) =>
    Array.from(new TextEncoder().encode(run), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

// ---- JetStream, 0.7 … 1.2 with durable events ----

/** Name of a component's KV event stream; its subjects are `{name}.*`. */
export function kvStreamName(scope: { namespace: string; component: string }): string {
  return dashedSlug(`namespace.${scope.namespace}.component.${scope.component}.kv-events`);
}

/** Object-store bucket in which durable routers keep their snapshot `radix-state`. */
export function radixBucketName(scope: { namespace: string; component: string }): string {
  return dashedSlug(`namespace.${scope.namespace}.component.${scope.component}-radix-bucket`);
}

function dashedSlug(name: string): string {
  return slugOf(slugOf(name).replaceAll("_", "-"));
}

// ---- recovery ----

/** How a release names the endpoint that answers recovery queries; undefined in 0.7, which has none. */
export type RecoveryNaming = "component" | "rank" | "publisher" | undefined;

/**
 * Endpoint name of a worker's recovery queries.
 *
 * @param publisherId of the rank's event source; needed for `publisher` alone
 */
export function recoveryEndpointOf(naming: NonNullable<RecoveryNaming>, rank: { dpRank: number; publisherId: U64 }): string {
  if (naming === "component") return "worker_kv_indexer_query";
  return naming === "rank" ? `worker_kv_indexer_query_dp${rank.dpRank}` : `worker_kv_query_source_${hexOf(rank.publisherId)}`;
}

/** The endpoint of a served index, under the workers' component (≥ 1.2). */
export const indexQueryEndpoint = "kv_indexer_query";

/** The same, of our own index, answered in the acknowledgement (indexer/lookup.ts). */
export const indexLookupEndpoint = "kv_indexer_lookup";
