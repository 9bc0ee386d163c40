// Events of one topic from everybody who publishes it over ZMQ: nothing is stored, what is missed is missed.
//
//   event channels in discovery ─▶ a SUB socket per publisher ─▶ queue ─▶ whoever reads
//
// A publisher whose record goes is heard no more; one that is heard again after a lost connection may have said something meanwhile.
import { readZmqFrames, toAppError, type U64 } from "@mm-router/protocol";
import type { Discovery } from "../discovery/index.ts";
import type { Logger } from "../service/index.ts";
import { EventQueue } from "./event-queue.ts";
import type { EventSource, EventSourceItem } from "./event-source.ts";
import { ZmqChannels, type ZmqTopic } from "./zmq-channels.ts";
import { ZmqSubscription } from "./zmq-subscription.ts";

export interface ZmqSourceOptions extends ZmqTopic {
  /** Messages that may wait for the reader. */
  readonly queueMax: number;
}

interface Heard {
  readonly endpoint: string;
  readonly subscription: Promise<ZmqSubscription | undefined>;
}

export class ZmqSource implements EventSource {
  readonly #options: ZmqSourceOptions;
  readonly #log: Logger;
  readonly #queue: EventQueue;
  readonly #heard = new Map<U64, Heard>();
  readonly #channels: ZmqChannels;

  constructor(discovery: Pick<Discovery, "watch">, options: ZmqSourceOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.#queue = new EventQueue(options.queueMax);
    const follower = {
      follow: (publisherId: U64, endpoint: string) => this.#follow(publisherId, endpoint),
      unfollow: (publisherId: U64) => this.#unfollow(publisherId),
    };
    this.#channels = new ZmqChannels(discovery, options, follower, log);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EventSourceItem, void, void> {
    try {
      yield* this.#queue;
    } finally {
      this.close();
    }
  }

  close(): void {
    this.#channels.close();
    for (const publisherId of this.#heard.keys()) this.#unfollow(publisherId);
    this.#queue.close();
  }

  #follow(publisherId: U64, endpoint: string): void {
    if (this.#heard.get(publisherId)?.endpoint === endpoint) return;
    this.#unfollow(publisherId);
    this.#heard.set(publisherId, { endpoint, subscription: this.#subscribe(endpoint) });
  }

  #unfollow(publisherId: U64): void {
    const heard = this.#heard.get(publisherId);
    this.#heard.delete(publisherId);
    void heard?.subscription.then((subscription) => subscription?.close());
  }

  /** undefined: the record names no endpoint that can be dialled. Never rejects. */
  async #subscribe(endpoint: string): Promise<ZmqSubscription | undefined> {
    let isFirst = true;
    try {
      return await ZmqSubscription.open(endpoint, this.#options.topic, {
        connected: () => {
          if (!isFirst) this.#queue.lost("reconnected");
          isFirst = false;
        },
        message: (frames) => this.#take(frames),
      });
    } catch (error) {
      this.#log.warn("an event publisher cannot be heard", { endpoint, error });
      return undefined;
    }
  }

  #take(frames: readonly Buffer[]): void {
    try {
      this.#queue.message(this.#options.topic, readZmqFrames(frames).envelope);
    } catch (error) {
      this.#log.debug("ZMQ message is no event", { reason: toAppError(error).message });
    }
  }
}
