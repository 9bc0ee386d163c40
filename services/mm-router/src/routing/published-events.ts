// What workers publish about their KV caches, as it happens, for those who compare it with what this router predicted.
//
//   workers ── KV events ──▶ NATS subjects ──▶ decoded once ──▶ listeners
//   workers ── ZMQ ──▶ indexer ── its log's subject ──▶
//
// Events of ≤ 1.2 that go to a JetStream stream are messages on subjects as well, and so is what our indexer bridges from ZMQ: a plain
// subscription hears them all.
// I1  Subscribed only while somebody listens: the indexer keeps the books, here nothing is stored, asked for again or put in order.
// I2  A listener that fails neither stops the others nor the source.
import { decodeEnvelope, decodeRouterEvents, kvStreamName, type RouterEvent } from "@mm-router/protocol";
import {
  bridgeSubject,
  CoreSource,
  type EventMessage,
  type EventSource,
  kvEventSubjects,
  type Logger,
  type LossReason,
  type Runtime,
} from "@mm-router/runtime";

export interface PublishedEventsListener {
  event(event: RouterEvent): void;
  /** Events may be missing from here on. */
  lost?(reason: LossReason): void;
}

/** Who is slower than this many messages misses some; it hears `lost`. */
const queueMax = 4_096;
const openBrace = 0x7b;

export class PublishedEvents {
  private readonly open: () => Promise<EventSource>;
  private readonly log: Logger;
  private readonly listeners = new Set<PublishedEventsListener>();
  private running: AbortController | undefined;

  constructor(open: () => Promise<EventSource>, log: Logger) {
    this.open = open;
    this.log = log;
  }

  /** Returns the way to stop. Events before the subscription stands, some ms after the first call, are not heard. */
  listen(listener: PublishedEventsListener): () => void {
    this.listeners.add(listener);
    if (this.running === undefined) void this.run((this.running = new AbortController()));
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.stop();
    };
  }

  close(): void {
    this.listeners.clear();
    this.stop();
  }

  private stop(): void {
    this.running?.abort();
    this.running = undefined;
  }

  /** Never rejects: without events predictions are not checked, nothing else. */
  private async run(stopping: AbortController): Promise<void> {
    const { signal } = stopping;
    try {
      const source = await this.open();
      signal.addEventListener("abort", () => source.close(), { once: true });
      if (signal.aborted) return source.close();
      for await (const item of source) {
        if (item.kind === "message") this.message(item);
        else if (item.kind === "maybe_lost") this.tell((listener) => listener.lost?.(item.reason));
      }
    } catch (error) {
      this.log.warn("the workers' KV events cannot be heard", { error });
    } finally {
      if (this.running === stopping) this.running = undefined;
    }
  }

  private message({ bytes, subject }: EventMessage): void {
    let events: readonly RouterEvent[];
    try {
      events = decodeRouterEvents(bytes[0] === openBrace ? bytes : decodeEnvelope(bytes).payload);
    } catch (error) {
      this.log.debug("message is no KV event", { subject, error });
      return;
    }
    for (const event of events) this.tell((listener) => listener.event(event));
  }

  private tell(what: (listener: PublishedEventsListener) => void): void {
    for (const listener of this.listeners) {
      try {
        what(listener);
      } catch (error) {
        this.log.error("a listener of the workers' events failed", { error });
      }
    }
  }
}

/** The events of all workers of a component, of whatever release. */
export async function openKvEvents(runtime: Runtime, where: { namespace: string; component: string }): Promise<EventSource> {
  const subjects = new Set([...kvEventSubjects(where), `${kvStreamName(where)}.*`, bridgeSubject(where)]);
  return new CoreSource(await runtime.nats(), { subjects: [...subjects], queueMax });
}
