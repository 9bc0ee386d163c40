// Where the events come from: our log of what workers publish on NATS core and over ZMQ, and the stream that durable workers make.
//
//   core subjects ─┐
//   ZMQ ─ bridge ──┴─▶ our log in JetStream ─▶ source          without JetStream: the subjects themselves, nothing is kept
//   durable workers ─▶ their stream ─────────▶ source
import { type EndpointAddress, kvStreamName, type U64 } from "@mm-router/protocol";
import {
  bridgeSubject,
  captureStreamName,
  type CaptureLimits,
  capturePublisher,
  CoreSource,
  type Discovery,
  ensureCaptureStream,
  type EventSource,
  JetStreamSource,
  kvEventSubjects,
  type Logger,
  type StreamPosition,
  withDeadline,
  ZmqBridge,
  ZmqChannels,
} from "@mm-router/runtime";

type Nats = Parameters<typeof ensureCaptureStream>[0];

export interface EventLogOptions {
  /** The workers' component. */
  readonly where: Pick<EndpointAddress, "namespace" | "component">;
  /** Asked every few seconds: they grow with the workers. */
  readonly limits: () => CaptureLimits;
  /** Where the sources begin; a stream that is not named from its beginning. */
  readonly positions: readonly StreamPosition[];
}

export interface EventLogDeps {
  readonly nats: Nats;
  readonly discovery: Discovery;
  readonly doubtPublisher: (publisherId: U64) => void;
  readonly malformed: () => void;
  readonly log: Logger;
}

/** Publishers that are there answer within milliseconds. */
const bridgeDeadlineMs = 2_000;
const widenIntervalMs = 5_000;

export class EventLog implements AsyncDisposable {
  readonly sources: readonly EventSource[];
  readonly #bridge: ZmqBridge;
  readonly #channels: ZmqChannels;
  readonly #widening: NodeJS.Timeout | undefined;

  private constructor(sources: readonly EventSource[], bridge: ZmqBridge, channels: ZmqChannels, widen: (() => void) | undefined) {
    this.sources = sources;
    this.#bridge = bridge;
    this.#channels = channels;
    this.#widening = widen && setInterval(widen, widenIntervalMs);
  }

  static async open({ where, limits, positions }: EventLogOptions, deps: EventLogDeps): Promise<EventLog> {
    const { nats, discovery, log } = deps;
    const create = () => ensureCaptureStream(nats, where, limits());
    const sourceOf = (stream: string, options: { create?: () => Promise<void> } = {}): EventSource => {
      const from = positions.find((position) => position.stream === stream);
      return new JetStreamSource(nats, { ...options, stream, from, storesUnacknowledged: true }, log);
    };
    const hasStream = await create().then(
      () => true,
      (error: unknown) => {
        log.warn("no log of the workers' events in JetStream: what is published while this process is away must come from them", { error });
        return false;
      },
    );
    const captured = hasStream
      ? sourceOf(captureStreamName(where), { create })
      : new CoreSource(nats, { subjects: [...kvEventSubjects(where), bridgeSubject(where)] });
    const publish = hasStream ? capturePublisher(nats, where) : async (bytes: Uint8Array) => nats.publish(bridgeSubject(where), bytes);
    const bridge = new ZmqBridge({ publish, maybeLost: deps.doubtPublisher, malformed: deps.malformed, log });
    const channels = new ZmqChannels(discovery, { ...where, topic: "kv-events" }, bridge, log);
    return new EventLog([captured, sourceOf(kvStreamName(where))], bridge, channels, hasStream ? widening(create, limits, log) : undefined);
  }

  /** Resolves after the first complete list of publishers. */
  get ready(): Promise<void> {
    return this.#channels.ready;
  }

  /** Resolves when the publishers that are there are heard, or after a moment: one that cannot be reached is heard later. */
  async heard(): Promise<void> {
    await withDeadline(this.#bridge.connected(), bridgeDeadlineMs, "reaching the event publishers").catch(() => {});
  }

  /** Publishers that are heard over ZMQ. */
  get bridged(): number {
    return this.#bridge.publishers;
  }

  /** Stored messages that are not in the index yet. */
  get lag(): number {
    return this.sources.reduce((sum, { lag = 0 }) => sum + lag, 0);
  }

  /** The source that reads a stream. */
  sourceOf(stream: string | undefined): EventSource | undefined {
    return this.sources.find(({ position }) => position !== undefined && position.stream === stream);
  }

  /** Up to where the streams have been applied. */
  get positions(): readonly StreamPosition[] {
    return this.sources.flatMap(({ position }) => position ?? []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#widening);
    this.#channels.close();
    this.#bridge.close();
    for (const source of this.sources) source.close();
  }
}

/** Widens the log whenever its limits have grown since the last time. */
function widening(ensure: () => Promise<void>, limits: () => CaptureLimits, log: Logger): () => void {
  let bytesMax = 0;
  return () => {
    const wanted = limits().bytesMax;
    if (wanted <= bytesMax) return;
    bytesMax = wanted;
    ensure().catch((error: unknown) => log.warn("the log of events stays smaller than the workers' caches ask for", { error }));
  };
}
