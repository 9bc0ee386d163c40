// Publishes one topic as a worker or router of Dynamo does: payloads in numbered envelopes on a NATS core subject.
import { encodeEnvelope, type U64 } from "@mm-router/protocol";

export interface EventPublisherOptions {
  readonly subject: string;
  readonly topic: string;
  /** ≤ 1.2: the instance id; ≥ 1.4: random, one per rank (`randomPublisherId`). */
  readonly publisherId: U64;
  /** Unix time, ms. */
  readonly unixMs?: () => number;
}

/** What is needed of a NATS connection. */
export interface Publishing {
  publish(subject: string, payload: Uint8Array): void;
}

export class EventPublisher {
  readonly publisherId: U64;
  readonly #nats: Publishing;
  readonly #options: EventPublisherOptions;
  #sequence = 0n;

  constructor(nats: Publishing, options: EventPublisherOptions) {
    this.publisherId = options.publisherId;
    this.#nats = nats;
    this.#options = options;
  }

  /** Sends one payload (MessagePack). Core NATS tells nobody whether it arrived. */
  publish(payload: Uint8Array): void {
    const { subject, topic, publisherId: publisher_id, unixMs = Date.now } = this.#options;
    const published_at = BigInt(unixMs());
    this.#nats.publish(subject, encodeEnvelope({ publisher_id, sequence: this.#sequence++, published_at, topic, payload }));
  }
}

/** As ≥ 1.4 makes them: below 2^53, not 0. */
export function randomPublisherId(random: () => number = Math.random): U64 {
  return BigInt(Math.floor(random() * (Number.MAX_SAFE_INTEGER - 1)) + 1);
}
