// Events from a JetStream stream: from its beginning or from a position, then live, through every outage.
//
//   info ──▶ compare with the cursor ──▶ consume from cursor + 1 ──▶ messages …
//    ▲        re-created? evicted?            │ any doubt: stop and begin again
//    └────────────────────────────────────────┘
//
// Gotchas (measured with nats-server 2.10 and 2.15): an ordered consumer of a stream that was deleted and made again, or whose store was
// wiped, waits for ever at the old sequence without a word. So the stream is looked at every `checkIntervalMs`: another creation time, or
// a last sequence below the cursor, means another stream. kill -9 of the server with its store kept: the consumer goes on by itself.
//
// I1  The cursor is the last sequence handed out. It goes back only with a `maybe_lost` of reason `stream_recreated`.
// I2  The stream is never purged, and no consumer outlives its inactivity (ordered consumers are ephemeral).
import {
  type ConsumerMessages,
  DeliverPolicy,
  jetstream,
  type JetStreamClient,
  jetstreamManager,
  type JsMsg,
  type StreamInfo,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { Backoff, pause } from "../flow/index.ts";
import type { Logger } from "../service/index.ts";
import type { EventSource, EventSourceItem, LossReason, StreamPosition } from "./event-source.ts";
import { isStreamMissing } from "./stream-errors.ts";

export interface JetStreamSourceOptions {
  readonly stream: string;
  /** Makes the stream when there is none; without it the source waits for somebody else to make it. */
  readonly create?: () => Promise<void>;
  /** Publishers do not repeat what was not stored: what they sent while the server was away may be missing. */
  readonly storesUnacknowledged?: boolean;
  /** Where an earlier source ended: what it had handed out is not given again. */
  readonly from?: StreamPosition | undefined;
  /** How often the stream is looked at, ms. Default 2 000. */
  readonly checkIntervalMs?: number;
}

const checkIntervalMsDefault = 2_000;
/** The server tells within seconds that it forgot the consumer, instead of after the default half minute. */
const consumeOptions = { max_messages: 1_000, expires: 10_000, idle_heartbeat: 2_000 };

export class JetStreamSource implements EventSource {
  readonly #nats: NatsConnection;
  readonly #options: JetStreamSourceOptions;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff({ firstMs: 100, maxMs: 2_000 });
  #cursor = 0;
  /** The last sequence that whoever reads has come back from. */
  #handled = 0;
  /** Last sequence that the stream was seen to have. */
  #newest = 0;
  /** Creation time of the stream that the cursor belongs to. */
  #created: string | undefined;
  /** Whether the next message is waited for: only then does standing still mean something. */
  #waiting = false;
  #messages: ConsumerMessages | undefined;
  #reconnected = false;

  constructor(nats: NatsConnection, options: JetStreamSourceOptions, log: Logger) {
    this.#nats = nats;
    this.#options = options;
    this.#log = log.child({ stream: options.stream });
    if (options.storesUnacknowledged === true) void this.#followConnection();
    if (options.from !== undefined) this.#resume(options.from);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EventSourceItem, void, void> {
    const { signal } = this.#closing;
    try {
      while (!signal.aborted && !this.#nats.isClosed()) {
        try {
          const info = await this.#stream();
          if (info === undefined) yield* this.#waitForStream();
          else yield* this.#follow(info);
        } catch (error) {
          if (signal.aborted) return;
          this.#log.warn("event stream cannot be read, trying again", { error });
          await this.#backoff.wait(signal);
        }
      }
    } finally {
      this.close();
    }
  }

  close(): void {
    this.#closing.abort();
    this.#stop();
  }

  async #stream(): Promise<StreamInfo | undefined> {
    try {
      return await this.#info();
    } catch (error) {
      if (!isStreamMissing(error)) throw error;
      if (this.#options.create === undefined) return undefined;
      await this.#options.create();
      return await this.#info();
    }
  }

  /** Messages that the stream has and the consumer of this source has not, as of the last look at the stream. */
  get lag(): number {
    return Math.max(0, this.#newest - this.#cursor);
  }

  get position(): StreamPosition | undefined {
    const { stream } = this.#options;
    const serverId = this.#nats.info?.server_id;
    if (this.#created === undefined || serverId === undefined) return undefined;
    return { stream, created: this.#created, sequence: this.#handled, serverId };
  }

  #resume({ created, sequence, serverId }: StreamPosition): void {
    this.#created = created;
    this.#cursor = this.#handled = sequence;
    this.#reconnected = this.#options.storesUnacknowledged === true && this.#nats.info?.server_id !== serverId;
  }

  async #info(): Promise<StreamInfo> {
    const manager = await jetstreamManager(this.#nats, { checkAPI: false });
    const info = await manager.streams.info(this.#options.stream);
    this.#newest = info.state.last_seq;
    return info;
  }

  /** Nothing is there, so nothing is missing. */
  async *#waitForStream(): AsyncGenerator<EventSourceItem, void, void> {
    yield { kind: "caught_up" };
    while (!this.#closing.signal.aborted && (await this.#stream()) === undefined) {
      await pause(this.#options.checkIntervalMs ?? checkIntervalMsDefault, this.#closing.signal);
    }
  }

  async *#follow(info: StreamInfo): AsyncGenerator<EventSourceItem, void, void> {
    const loss = this.#compare(info);
    if (loss !== undefined) yield { kind: "maybe_lost", reason: loss };
    const target = info.state.last_seq;
    let caughtUp = this.#cursor >= target || info.state.messages === 0;
    if (caughtUp) yield { kind: "caught_up" };
    for await (const message of this.#consume()) {
      if (message.seq !== this.#cursor + 1 && this.#cursor !== 0) yield { kind: "maybe_lost", reason: "evicted" };
      this.#cursor = message.seq;
      yield { kind: "message", subject: message.subject, bytes: message.data, sequence: message.seq };
      this.#handled = message.seq;
      if (!caughtUp && this.#cursor >= target) {
        caughtUp = true;
        yield { kind: "caught_up" };
      }
    }
  }

  /** Moves the cursor where the stream is another one or has dropped messages. */
  #compare({ created, state }: StreamInfo): LossReason | undefined {
    const isOther = this.#created !== undefined && (this.#created !== created || state.last_seq < this.#cursor);
    this.#created = created;
    const isReconnected = this.#reconnected;
    this.#reconnected = false;
    if (isOther) {
      this.#cursor = this.#handled = 0;
      return "stream_recreated";
    }
    if (this.#cursor === 0 || state.first_seq <= this.#cursor + 1) return isReconnected ? "reconnected" : undefined;
    this.#cursor = this.#handled = state.first_seq - 1;
    return "evicted";
  }

  async *#consume(): AsyncGenerator<JsMsg, void, void> {
    const client: JetStreamClient = jetstream(this.#nats);
    const start = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#cursor + 1 };
    const consumer = await client.consumers.get(this.#options.stream, start);
    const messages = await consumer.consume(consumeOptions);
    this.#messages = messages;
    if (this.#closing.signal.aborted) this.#stop();
    const checks = setInterval(() => void this.#check(), this.#options.checkIntervalMs ?? checkIntervalMsDefault);
    this.#backoff.reset();
    try {
      this.#waiting = true;
      for await (const message of messages) {
        this.#waiting = false;
        yield message;
        this.#waiting = true;
      }
    } finally {
      clearInterval(checks);
      this.#stop();
    }
  }

  /** Ends the consumption when it may wait for what never comes. A server that does not answer proves nothing. */
  async #check(): Promise<void> {
    const cursor = this.#cursor;
    const waiting = this.#waiting;
    const messages = this.#messages;
    try {
      const { created, state } = await this.#info();
      const isOther = created !== this.#created || state.last_seq < this.#cursor;
      const stands = waiting && this.#waiting && cursor === this.#cursor && state.last_seq > cursor;
      if ((isOther || stands) && messages === this.#messages) this.#stop();
    } catch (error) {
      if (isStreamMissing(error) && messages === this.#messages) this.#stop();
    }
  }

  /** Ends with the connection, or at its first word after `close`. */
  async #followConnection(): Promise<void> {
    for await (const status of this.#nats.status()) {
      if (this.#closing.signal.aborted) return;
      if (status.type !== "reconnect") continue;
      this.#reconnected = true;
      this.#stop();
    }
  }

  #stop(): void {
    const messages = this.#messages;
    this.#messages = undefined;
    messages?.close().catch(() => {}); // the consumer is ephemeral: what the server does not hear now, it forgets later
  }
}
