// Who publishes a topic over ZMQ, as the event channels in discovery say: each is followed for as long as its record stands.
//
//   v1/event_channels/…   {"topic":"kv-events","scope" or "namespace" + "component","transport":{"kind":"Zmq",…}}
//
// G1  Up to 1.2 the key is the instance's: of several ranks of a worker the one that registered last is heard alone (kv.md §4.5).
import {
  decodeEventChannel,
  type EndpointAddress,
  type EventChannel,
  eventChannelPrefix,
  type EventTopic,
  type U64,
} from "@mm-router/protocol";
import type { Discovery, Watch } from "../discovery/index.ts";
import type { Logger } from "../service/index.ts";

export interface ZmqTopic extends Pick<EndpointAddress, "namespace" | "component"> {
  readonly topic: EventTopic;
  /** Where the name says the endpoint (≥ 1.4) that of this one alone; absent: all of the component. */
  readonly endpoint?: string;
}

export interface ZmqFollower {
  follow(publisherId: U64, endpoint: string): void;
  unfollow(publisherId: U64): void;
}

export class ZmqChannels {
  readonly #wanted: ZmqTopic;
  readonly #follower: ZmqFollower;
  readonly #log: Logger;
  readonly #byKey = new Map<string, U64>();
  readonly #watch: Watch;

  constructor(discovery: Pick<Discovery, "watch">, wanted: ZmqTopic, follower: ZmqFollower, log: Logger) {
    this.#wanted = wanted;
    this.#follower = follower;
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
    if (channel?.transport.kind !== "zmq" || !this.#isWanted(channel)) return;
    this.#byKey.set(key, channel.id);
    this.#follower.follow(channel.id, channel.transport.endpoint);
  }

  #delete(key: string): void {
    const id = this.#byKey.get(key);
    this.#byKey.delete(key);
    if (id !== undefined) this.#follower.unfollow(id);
  }

  #isWanted({ topic, scope }: EventChannel): boolean {
    const wanted = this.#wanted;
    const isOtherEndpoint = wanted.endpoint !== undefined && scope.endpoint !== undefined && scope.endpoint !== wanted.endpoint;
    return topic === wanted.topic && scope.namespace === wanted.namespace && scope.component === wanted.component && !isOtherEndpoint;
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
