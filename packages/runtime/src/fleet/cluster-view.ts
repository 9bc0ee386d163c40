// What stands in etcd, sorted into the parts that mm-router knows: the input of the doctor's rules, of `mmr watch` and of the page.
import {
  type CardEntry,
  decodeCardEntry,
  decodeInstance,
  dynAddressOf,
  type Instance,
  parseJson,
  type ReleaseLine,
  detectRelease,
} from "@mm-router/protocol";

/** A worker or router: one instance with its card. */
export interface Member {
  readonly instance: Instance;
  readonly entry: CardEntry;
  /** From its records; nothing names it. */
  readonly release: ReleaseLine;
}

export interface EventChannel {
  readonly key: string;
  readonly topic: string;
  readonly namespace: string;
  readonly component: string;
  /** `Nats`, `Zmq`. */
  readonly kind: string;
}

export interface ClusterView {
  readonly instances: readonly Instance[];
  readonly cards: readonly CardEntry[];
  readonly channels: readonly EventChannel[];
  /** Keys whose value nobody could read, with the reason. */
  readonly unreadable: readonly { readonly key: string; readonly reason: string }[];
}

/** @param keys all keys under `v1/` with their values */
export function clusterView(keys: ReadonlyMap<string, string>): ClusterView {
  const unreadable: { key: string; reason: string }[] = [];
  const decodeAll = <T>(prefix: string, decode: (key: string, value: string) => T): T[] =>
    [...keys]
      .filter(([key]) => key.startsWith(prefix))
      .flatMap(([key, value]) => {
        try {
          return [decode(key, value)];
        } catch (error) {
          unreadable.push({ key, reason: (error as Error).message });
          return [];
        }
      });
  return {
    instances: decodeAll("v1/instances/", decodeInstance),
    cards: decodeAll("v1/mdc/", decodeCardEntry),
    channels: decodeAll("v1/event_channels/", decodeChannel),
    unreadable,
  };
}

function decodeChannel(key: string, value: string): EventChannel {
  const record = parseJson(value) as {
    topic: string;
    namespace?: string;
    component?: string;
    scope?: { endpoint?: { namespace: string; component: string }; component?: { namespace: string; name: string }; namespace?: string };
    transport: { kind: string };
  };
  const scope = record.scope?.endpoint ?? { namespace: record.namespace ?? "", component: record.component ?? "" };
  return { key, topic: record.topic, namespace: scope.namespace, component: scope.component, kind: record.transport.kind };
}

/** Cards whose instance stands, each with the release that its records show. */
export function membersOf({ instances, cards }: ClusterView): Member[] {
  const byPlace = new Map(instances.map((instance) => [placeOf(instance), instance]));
  return cards.flatMap((entry) => {
    const instance = byPlace.get(placeOf(entry));
    return instance === undefined ? [] : [{ instance, entry, release: detectRelease(instance, entry.card) }];
  });
}

function placeOf({ address, instanceId }: Pick<Instance, "address" | "instanceId">): string {
  return `${dynAddressOf(address)}/${instanceId}`;
}
