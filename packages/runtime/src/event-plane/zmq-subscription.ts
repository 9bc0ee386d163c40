// One publisher's events over ZMQ: a SUB socket that connects, connects again for ever, and says whenever it hears anew.
//
//   connected  fires after every handshake, the first included; does not fire for a peer that never answers
//   message    fires for every multipart message on the topic, in the publisher's order; PUB drops what it cannot send, without a word
//
// libzmq is loaded with the first subscription: whoever hears NATS alone does without it.
// G1  libzmq dials again by itself until the first connection stands and after a lost one, but not after a message beyond `maxMessageSize`
//     (libzmq 4.3, seen): so a socket that lost its peer is replaced by a new one.
// I1  A message larger than `messageBytesMax` is never delivered.
// I2  After `close` nothing fires. A socket that was replaced says nothing more either: libzmq may have dialled again before it was closed.
import type { Subscriber } from "zeromq";
import { Backoff } from "../flow/index.ts";

export interface ZmqListener {
  connected(): void;
  message(frames: readonly Buffer[]): void;
}

/** Far above an event batch's limits (128 events, 8192 blocks, some 60 bytes a block). */
const messageBytesMax = 16 * 1024 * 1024;
/** Messages that wait in libzmq while this process is busy. */
const waitingMax = 16_384;
const reconnectMs = { firstMs: 100, maxMs: 2_000 };
/** A peer that is gone without closing is given up and dialled again. */
const heartbeatMs = { interval: 2_000, timeout: 6_000 };

export class ZmqSubscription {
  readonly #endpoint: string;
  readonly #topic: string;
  readonly #listener: ZmqListener;
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff(reconnectMs);
  #socket: Subscriber | undefined;

  private constructor(endpoint: string, topic: string, listener: ZmqListener) {
    this.#endpoint = endpoint;
    this.#topic = topic;
    this.#listener = listener;
  }

  /** @param endpoint as in an event channel's record, `tcp://host:port` @throws Error when the endpoint is none */
  static async open(endpoint: string, topic: string, listener: ZmqListener): Promise<ZmqSubscription> {
    const subscription = new ZmqSubscription(endpoint, topic, listener);
    await subscription.#connect();
    return subscription;
  }

  close(): void {
    this.#closing.abort();
    this.#socket?.close();
  }

  async #connect(): Promise<void> {
    const { Subscriber: Socket } = await import("zeromq");
    if (this.#closing.signal.aborted) return;
    const socket = new Socket({
      linger: 0,
      receiveHighWaterMark: waitingMax,
      maxMessageSize: messageBytesMax,
      reconnectInterval: reconnectMs.firstMs,
      reconnectMaxInterval: reconnectMs.maxMs,
      heartbeatInterval: heartbeatMs.interval,
      heartbeatTimeout: heartbeatMs.timeout,
    });
    this.#socket = socket;
    socket.events.on("handshake", () => this.#connected(socket));
    socket.events.on("disconnect", () => void this.#replace(socket));
    socket.subscribe(this.#topic);
    try {
      socket.connect(this.#endpoint);
    } catch (error) {
      socket.close();
      throw error;
    }
    void this.#receive(socket);
  }

  #connected(socket: Subscriber): void {
    if (this.#closing.signal.aborted || socket !== this.#socket) return;
    this.#backoff.reset();
    this.#listener.connected();
  }

  async #replace(lost: Subscriber): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted || lost !== this.#socket) return;
    this.#socket = undefined;
    lost.close();
    await this.#backoff.wait(signal);
    await this.#connect();
  }

  /** Ends with the socket. */
  async #receive(socket: Subscriber): Promise<void> {
    for await (const frames of socket) if (!this.#closing.signal.aborted) this.#listener.message(frames);
  }
}
