// A worker's KV events on the wire: what is published, who publishes it, and the endpoint that tells it again.
//
//   engine events ─► PublishedEvents ─► envelope ─► NATS core  namespace.NS.component.C.endpoint.E.kv-events
//                          └─ blocks held, recent events ─► recovery endpoint
//
// Records: v1/event_channels (where), from 1.4 on v1/event_sources (for which worker and rank, and where to ask).
// I1  Blocks are held before the event is published: a dump taken after event n contains n.
// I2  After a lost lease everything goes on under the new id, with a new count; routers ask again.
import {
  type Dialect,
  decodeRecoveryQuery,
  type EndpointAddress,
  encodeEnvelope,
  encodeEventChannel,
  encodeEventPayloads,
  encodeEventSource,
  encodeRecoveryAnswer,
  eventChannelKey,
  eventScopeOf,
  eventSourceKey,
  eventSubject,
  eventSubjectPrefix,
  type ExternalHash,
  hexOf,
  type Instance,
  type InstanceId,
  type RecoveryAnswer,
  type RecoveryQuery,
  recoveryEndpointOf,
  type RouterEvent,
  routerEventFor,
  type StoredBlock,
  u64,
  type WorkerKey,
} from "@mm-router/protocol";
import type { Handler, Runtime } from "@mm-router/runtime";
import type { PoolEvent } from "./block-pool.ts";
import { PublishedEvents } from "./published-events.ts";

const topic = "kv-events";
/** As a real worker's: older ones are told as a dump. */
const recentEventsMax = 1024;

export interface KvFeedOptions {
  readonly address: EndpointAddress;
  readonly dialect: Dialect;
  readonly blockSize: number;
  readonly imageTokenId: number;
}

interface HeldBlock {
  readonly parent: ExternalHash | null;
  readonly block: StoredBlock;
}

export class KvFeed {
  readonly #runtime: Runtime;
  readonly #options: KvFeedOptions;
  /** Random, below 2^53, one per rank; the worker's own id up to 1.2. */
  readonly #randomId = BigInt(Math.floor(Math.random() * 2 ** 52));
  /** Parents before children. */
  readonly #held = new Map<ExternalHash, HeldBlock>();
  #recent: RouterEvent[] = [];
  #events: PublishedEvents;
  #sequence = 0n;

  static async start(runtime: Runtime, options: KvFeedOptions): Promise<KvFeed> {
    const feed = new KvFeed(runtime, options);
    await feed.#register();
    return feed;
  }

  private constructor(runtime: Runtime, options: KvFeedOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#events = this.#eventsOf(runtime.discovery.instanceId);
    runtime.discovery.onInstanceIdChanged((id) => {
      this.#events = this.#eventsOf(id); // I2
      this.#recent = [];
    });
  }

  get lastEventId(): bigint {
    return this.#events.lastEventId;
  }

  async publish(poolEvents: readonly PoolEvent[]): Promise<void> {
    const events = this.#events.publish(poolEvents);
    if (events.length === 0) return;
    for (const { event } of events) this.#hold(event.data);
    this.#recent = [...this.#recent, ...events].slice(-recentEventsMax);
    const nats = await this.#runtime.nats();
    const subject = eventSubject(this.#naming, this.#scope, topic);
    for (const payload of encodeEventPayloads(this.#options.dialect, events)) {
      const published_at = u64(BigInt(Date.now()));
      nats.publish(
        subject,
        encodeEnvelope({ publisher_id: this.#publisherId(), sequence: u64(this.#sequence++), published_at, topic, payload }),
      );
    }
  }

  #eventsOf(workerId: InstanceId): PublishedEvents {
    return new PublishedEvents({ ...this.#options, worker: { workerId, dpRank: 0 } });
  }

  #hold(data: RouterEvent["event"]["data"]): void {
    if (data === "cleared") return;
    if ("removed" in data) {
      for (const hash of data.removed.block_hashes) this.#held.delete(hash);
      return;
    }
    let parent = data.stored.parent_hash;
    for (const block of data.stored.blocks) {
      this.#held.set(block.block_hash, { parent, block });
      parent = block.block_hash;
    }
  }

  // ---- recovery ----

  readonly #answerQuery: Handler = async ({ codec, body }, sink) => {
    const answer = this.#recover(decodeRecoveryQuery(codec, body));
    await sink.frames([encodeRecoveryAnswer(codec, answer)]);
  };

  #recover({ worker, start, end }: RecoveryQuery): RecoveryAnswer {
    const own = this.#worker();
    if (worker.workerId !== own.workerId) {
      return { kind: "error", message: `worker_id mismatch: request.worker_id=${worker.workerId} this.worker_id=${own.workerId}` };
    }
    const lastEventId = u64(this.lastEventId);
    if (start !== null && end !== null && end < start) return { kind: "invalid_range", start, end };
    if (start !== null && start > lastEventId) {
      return { kind: "too_new", requestedStart: start, requestedEnd: end ?? lastEventId, newestAvailable: lastEventId };
    }
    const told = this.#options.dialect.recoveryTellsLastEvent ? { lastEventId } : {};
    const oldest = this.#recent[0]?.event.event_id;
    if (start === null || oldest === undefined || start < oldest) return { kind: "dump", events: this.#dump(), ...told };
    return { kind: "events", events: this.#recent.filter(({ event }) => event.event_id >= start), ...told };
  }

  #dump(): RouterEvent[] {
    return Array.from(this.#held.values(), ({ parent, block }, index) =>
      routerEventFor(this.#options.dialect, this.#worker(), u64(BigInt(index)), {
        stored: { parent_hash: parent, blocks: [{ ...block, mm_extra_info: null }] }, // already in the tokens_hash
      }),
    );
  }

  // ---- discovery ----

  async #register(): Promise<void> {
    const { discovery } = this.#runtime;
    const { dialect, address } = this.#options;
    const transport = { kind: "nats", subjectPrefix: eventSubjectPrefix(this.#naming, this.#scope) } as const;
    await discovery.register(() => {
      const id = this.#publisherId();
      return {
        key: eventChannelKey(this.#naming, this.#scope, topic, id),
        value: encodeEventChannel({ naming: this.#naming, scope: this.#scope, topic, id, transport }),
      };
    });
    if (dialect.recoveryNaming === undefined) return;
    const endpoint = recoveryEndpointOf(dialect.recoveryNaming, { dpRank: 0, publisherId: this.#publisherId() });
    const recovery = { ...address, endpoint };
    await this.#runtime.endpoint(recovery).serve(this.#answerQuery);
    if (dialect.recoveryNaming !== "publisher") return;
    const recoveryTarget = await this.#instanceOf(recovery);
    const source = { scope: address, topic, publisherId: this.#publisherId() };
    await discovery.register((workerId) => ({
      key: eventSourceKey(address, topic, source.publisherId),
      value: encodeEventSource({ ...source, worker: { workerId, dpRank: 0 }, recoveryTarget: recoveryTarget(workerId) }),
    }));
  }

  /** How the recovery endpoint is reached: as its own instance record says. */
  async #instanceOf(address: EndpointAddress): Promise<(id: InstanceId) => Instance> {
    const client = this.#runtime.endpoint(address).client();
    await client.ready();
    const [registered] = client.instances.list();
    client.close();
    if (registered === undefined) throw new Error("the recovery endpoint registered itself before");
    return (instanceId) => ({ ...registered, instanceId, transport: transportFor(registered, instanceId) });
  }

  get #naming() {
    return this.#options.dialect.eventNaming;
  }

  get #scope() {
    return eventScopeOf(this.#naming, this.#options.address, topic);
  }

  #worker(): WorkerKey {
    return { workerId: this.#runtime.discovery.instanceId, dpRank: 0 };
  }

  #publisherId() {
    return this.#options.dialect.publisherId === "random" ? u64(this.#randomId) : this.#runtime.discovery.instanceId;
  }
}

/** The transport of the same endpoint under another id, which is part of the subject and of the path. */
function transportFor({ instanceId: before, transport }: Instance, now: InstanceId): Instance["transport"] {
  const renamed = (text: string): string => text.replace(hexOf(before), hexOf(now));
  if (transport.kind === "nats") return { kind: "nats", subject: renamed(transport.subject) };
  return { ...transport, path: renamed(transport.path) };
}
