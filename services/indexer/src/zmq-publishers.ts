// The workers that publish over ZMQ, as their event channels say: each is heard by the bridge for as long as its record stands.
//
//   v1/event_channels/…   {"topic":"kv-events","scope" or "namespace" + "component","transport":{"kind":"Zmq",…}}
//
// G1  Up to 1.2 the key is the instance's: of several ranks the one that registered last is heard alone (kv.md §4.5).
import { decodeEventChannel, type EndpointAddress, type EventChannel, eventChannelPrefix, type U64 } from "@mm-router/protocol";
import type { Discovery, Logger, Watch, ZmqBridge } from "@mm-router/runtime";

export class ZmqPublishers {
  readonly #where: Pick<EndpointAddress, "namespace" | "component">;
  readonly #bridge: ZmqBridge;
  readonly #log: Logger;
  readonly #byKey = new Map<string, U64>();
  readonly #watch: Watch;

  constructor(discovery: Discovery, where: Pick<EndpointAddress, "namespace" | "component">, bridge: ZmqBridge, log: Logger) {
    this.#where = where;
    this.#bridge = bridge;
    this.#log = log;
    this.#watch = discovery.watch(eventChannelPrefix, {
      put: (key, value) => this.#put(key, value),
      delete: (key) => this.#delete(key),
    });
  }

  /** Resolves after the first complete list. */
  get ready(): Promise<void> {
    return this.#watch.ready;
  }

  close(): void {
    this.#watch.close();
  }

  #put(key: string, value: string): void {
    const channel = this.#decoded(key, value);
    if (channel?.transport.kind !== "zmq" || !this.#isOurs(channel)) return;
    this.#byKey.set(key, channel.id);
    this.#bridge.follow(channel.id, channel.transport.endpoint);
  }

  #delete(key: string): void {
    const id = this.#byKey.get(key);
    this.#byKey.delete(key);
    if (id !== undefined) this.#bridge.unfollow(id);
  }

  #isOurs({ topic, scope }: EventChannel): boolean {
    return topic === "kv-events" && scope.namespace === this.#where.namespace && scope.component === this.#where.component;
  }

  /** Channels of other topics may have scopes that are not read here. */
  #decoded(key: string, value: string): EventChannel | undefined {
    try {
      return decodeEventChannel(value);
    } catch (error) {
      this.#log.debug("event channel is not usable", { key, error });
      return undefined;
    }
  }
}
