// Events from NATS core subjects, for servers without JetStream: nothing is stored, what is missed is missed.
import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import { EventQueue } from "./event-queue.ts";
import type { EventSource, EventSourceItem } from "./event-source.ts";

export interface CoreSourceOptions {
  readonly subjects: readonly string[];
  /** Messages that may wait for the consumer. Default 65 536, about 40 MB of usual events. */
  readonly queueMax?: number;
}

const queueMaxDefault = 65_536;

export class CoreSource implements EventSource {
  readonly #queue: EventQueue;
  readonly #subscriptions: readonly Subscription[];
  #isClosed = false;

  constructor(nats: NatsConnection, options: CoreSourceOptions) {
    this.#queue = new EventQueue(options.queueMax ?? queueMaxDefault);
    // The callback only queues: a client that works here while messages arrive is cut off by the server.
    this.#subscriptions = options.subjects.map((subject) =>
      nats.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) this.#queue.message(message.subject, message.data);
        },
      }),
    );
    void this.#followConnection(nats);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EventSourceItem, void, void> {
    try {
      yield* this.#queue;
    } finally {
      this.close();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#queue.close();
  }

  /** Ends with the connection, or at its first word after `close`. */
  async #followConnection(nats: NatsConnection): Promise<void> {
    for await (const status of nats.status()) {
      if (this.#isClosed) return;
      if (status.type === "reconnect") this.#queue.lost("reconnected");
    }
  }
}
