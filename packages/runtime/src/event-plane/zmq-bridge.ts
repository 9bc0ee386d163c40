// Carries what workers publish over ZMQ into our log in JetStream, where every indexer reads it, now or after a restart.
//
//   worker ── PUB ──▶ SUB ── frames ──▶ queue ── publish, acknowledged ──▶ log
//                      └─ connected anew: what came before is not known         message id: endpoint/publisher/sequence
//
// Workers ≥ 1.4 do so unless DYN_EVENT_PLANE says nats. The log gets the envelope, byte for byte what a NATS publisher would have sent.
// I1  Two indexers bridge the same worker with the same message ids: within its duplicate window the log stores each message once.
// I2  Messages are published in their order. One that is not acknowledged is published again under its id, and so are those behind it; where
//     these were stored before it, the event ids show a gap.
// I3  At most `waitingMax` messages wait for the log. What finds no room is dropped and said: `maybeLost`.
import { hexOf, readZmqFrames, toAppError, type U64, type ZmqMessage } from "@mm-router/protocol";
import { Backoff, BoundedQueue, pause } from "../flow/index.ts";
import type { Logger } from "../service/index.ts";
import { ZmqSubscription } from "./zmq-subscription.ts";

export interface ZmqBridgeDeps {
  /** Stores a message; resolves when it is stored. */
  readonly publish: (envelope: Uint8Array, messageId: string) => Promise<void>;
  /** A publisher is heard anew, or something of it found no room. */
  readonly maybeLost: (publisherId: U64) => void;
  /** A message that no worker would send. */
  readonly malformed: () => void;
  readonly log: Logger;
}

interface Followed {
  readonly endpoint: string;
  readonly connected: PromiseWithResolvers<void>;
  readonly subscription: Promise<ZmqSubscription | undefined>;
}

interface Waiting {
  readonly publisherId: U64;
  readonly envelope: Uint8Array;
  readonly messageId: string;
}

const topic = "kv-events";
const waitingMax = 65_536;
/** Published at once; their acks are awaited together. */
const batchMax = 256;
/** From the handshake until the publisher surely knows what is subscribed to. */
const subscriptionTravelMs = 200;
const publishBackoffMs = { firstMs: 100, maxMs: 2_000 };

export class ZmqBridge {
  readonly #deps: ZmqBridgeDeps;
  readonly #followed = new Map<U64, Followed>();
  readonly #queue = new BoundedQueue<Waiting>(waitingMax);
  /** Publishers of which something found no room. */
  readonly #dropped = new Set<U64>();
  readonly #closing = new AbortController();

  constructor(deps: ZmqBridgeDeps) {
    this.#deps = deps;
    void this.#publishAll();
  }

  /** Hears a publisher from now on. Another endpoint than before takes its place. */
  follow(publisherId: U64, endpoint: string): void {
    if (this.#followed.get(publisherId)?.endpoint === endpoint) return;
    this.unfollow(publisherId);
    const connected = Promise.withResolvers<void>();
    const subscription = this.#subscribe(publisherId, endpoint, connected);
    this.#followed.set(publisherId, { endpoint, connected, subscription });
  }

  unfollow(publisherId: U64): void {
    const followed = this.#followed.get(publisherId);
    this.#followed.delete(publisherId);
    followed?.connected.resolve();
    void followed?.subscription.then((subscription) => subscription?.close());
  }

  /** Resolves when every publisher that is followed now has been reached. */
  async connected(): Promise<void> {
    await Promise.all(Array.from(this.#followed.values(), ({ connected }) => connected.promise));
  }

  get publishers(): number {
    return this.#followed.size;
  }

  close(): void {
    this.#closing.abort();
    for (const publisherId of this.#followed.keys()) this.unfollow(publisherId);
    this.#queue.clear();
    this.#queue.close();
  }

  /** undefined: the record names no endpoint that can be dialled. Never rejects. */
  async #subscribe(publisherId: U64, endpoint: string, connected: PromiseWithResolvers<void>): Promise<ZmqSubscription | undefined> {
    try {
      return await ZmqSubscription.open(endpoint, topic, {
        connected: () => void this.#heardAnew(publisherId, connected),
        message: (frames) => this.#take(publisherId, endpoint, frames),
      });
    } catch (error) {
      connected.resolve();
      this.#deps.log.warn("an event publisher cannot be heard", { endpoint, error });
      return undefined;
    }
  }

  /** Never rejects. */
  async #heardAnew(publisherId: U64, connected: PromiseWithResolvers<void>): Promise<void> {
    await pause(subscriptionTravelMs, this.#closing.signal);
    connected.resolve();
    if (this.#followed.get(publisherId)?.connected === connected) this.#deps.maybeLost(publisherId);
  }

  #take(publisherId: U64, endpoint: string, frames: readonly Buffer[]): void {
    const message = this.#read(frames);
    if (message === undefined) return;
    const messageId = `${endpoint}/${hexOf(message.publisherId)}/${message.sequence}`;
    if (!this.#queue.offer({ publisherId, envelope: message.envelope, messageId })) this.#dropped.add(publisherId);
  }

  #read(frames: readonly Buffer[]): ZmqMessage | undefined {
    try {
      return readZmqFrames(frames);
    } catch (error) {
      this.#deps.malformed();
      this.#deps.log.debug("ZMQ message is no event", { reason: toAppError(error).message });
      return undefined;
    }
  }

  /** Ends with `close`. Never rejects. */
  async #publishAll(): Promise<void> {
    for await (const first of this.#queue) {
      const batch = [first];
      while (batch.length < batchMax && this.#queue.size > 0) batch.push(this.#queue.poll()!);
      await this.#publish(batch);
      for (const publisherId of this.#dropped) this.#deps.maybeLost(publisherId);
      this.#dropped.clear();
    }
  }

  async #publish(batch: readonly Waiting[]): Promise<void> {
    const backoff = new Backoff(publishBackoffMs);
    let left = batch;
    while (!this.#closing.signal.aborted) {
      const results = await Promise.allSettled(left.map(({ envelope, messageId }) => this.#deps.publish(envelope, messageId)));
      const firstFailed = results.findIndex(({ status }) => status === "rejected");
      if (firstFailed < 0) return;
      left = left.slice(firstFailed); // those stored behind it are recognised by their ids (I2)
      this.#deps.log.debug("the log does not take events, trying again", { waiting: left.length + this.#queue.size });
      await backoff.wait(this.#closing.signal);
    }
  }
}
