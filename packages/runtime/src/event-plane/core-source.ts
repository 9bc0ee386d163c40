// Events from NATS core subjects, for servers without JetStream: nothing is stored, what is missed is missed.
import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import { BoundedQueue } from "../flow/index.ts";
import type { EventSource, EventSourceItem, LossReason } from "./event-source.ts";

export interface CoreSourceOptions {
  readonly subjects: readonly string[];
  /** Messages that may wait for the consumer. Default 65 536, about 40 MB of usual events. */
  readonly queueMax?: number;
}

const queueMaxDefault = 65_536;

export class CoreSource implements EventSource {
  readonly #queue: BoundedQueue<EventSourceItem>;
  readonly #subscriptions: readonly Subscription[];
  #sequence = 0;
  #isClosed = false;
  /** Told before the next message that finds room. */
  #loss: LossReason | undefined;

  constructor(nats: NatsConnection, options: CoreSourceOptions) {
    this.#queue = new BoundedQueue(options.queueMax ?? queueMaxDefault);
    this.#queue.offer({ kind: "caught_up" });
    // The callback only queues: a client that works here while messages arrive is cut off by the server.
    this.#subscriptions = options.subjects.map((subject) =>
      nats.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) this.#take({ kind: "message", subject: message.subject, bytes: message.data, sequence: ++this.#sequence });
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
    this.#queue.clear();
    this.#queue.close();
  }

  #take(item: EventSourceItem): void {
    if (this.#loss !== undefined && this.#queue.offer({ kind: "maybe_lost", reason: this.#loss })) this.#loss = undefined;
    if (!this.#queue.offer(item)) this.#loss = "overflow";
  }

  /** Ends with the connection, or at its first word after `close`. */
  async #followConnection(nats: NatsConnection): Promise<void> {
    for await (const status of nats.status()) {
      if (this.#isClosed) return;
      if (status.type === "reconnect") this.#take({ kind: "maybe_lost", reason: "reconnected" });
    }
  }
}
