// Tells other routers of the same workers what this one has running, and hears what they have: ours and real ones alike.
//
//   booked, first tokens, freed ──▶ where and as the worker's release has it ──▶ the others
//   the others ──▶ NATS subjects and ZMQ channels of every release ──▶ ReplicaLoad      a router that leaves discovery takes its load with it
//
// Source: kv.md §9.2 (`router_replica_sync`); names and form of a message are those of the release of the worker that it is about, since that
// is what routers beside such workers read. Nobody waits for what is told, and what is lost expires. All planes are heard, one is spoken on.
import type { BookedRequest, BookingObserver, ReplicaLoad, ReplicaOutcome } from "@mm-router/kv";
import {
  type ActiveSequenceData,
  type ActiveSequenceEvent,
  type AddRequest,
  decodeActiveSequences,
  decodeEnvelope,
  type Dialect,
  dialectOf,
  type EndpointAddress,
  hexOf,
  type InstanceId,
  instancePrefix,
  parseInstanceKey,
  releaseLines,
  type SequenceHash,
} from "@mm-router/protocol";
import { CoreSource, type Discovery, type EventSource, type Logger, type Runtime, ZmqSource } from "@mm-router/runtime";
import { sequenceSubject, SequencePublishers, sequenceTopic } from "./sequence-publishers.ts";

export interface ReplicaSyncOptions {
  /** The workers' endpoint. */
  readonly address: EndpointAddress;
  /** The release of a worker that a request was booked on. */
  readonly dialectOf: (workerId: InstanceId) => Dialect | undefined;
  readonly replicas: ReplicaLoad;
}

export interface ReplicaSyncDeps {
  readonly discovery: Pick<Discovery, "instanceId" | "watch">;
  readonly publishers: Pick<SequencePublishers, "tell" | "close">;
  readonly sources: readonly EventSource[];
  readonly count: (outcome: ReplicaOutcome | "malformed") => void;
  readonly log: Logger;
}

/** The subjects on which routers of any release tell each other about these workers. */
export function sequenceSubjects(address: EndpointAddress): string[] {
  return [...new Set(releaseLines.map((line) => sequenceSubject(dialectOf(line), address)))];
}

export class ReplicaSync implements BookingObserver {
  private readonly options: ReplicaSyncOptions;
  private readonly deps: ReplicaSyncDeps;
  /** In which dialect a request was told: its end is told in the same, also when its worker is gone. */
  private readonly told = new WeakMap<BookedRequest, Dialect>();
  /** Live instances of the namespace by id, and under how many keys. */
  private readonly live = new Map<InstanceId, Set<string>>();
  private readonly watch: { close(): void };

  constructor(options: ReplicaSyncOptions, deps: ReplicaSyncDeps) {
    this.options = options;
    this.deps = deps;
    this.watch = deps.discovery.watch(instancePrefix({ namespace: options.address.namespace }), {
      put: (key) => this.came(key),
      delete: (key) => this.gone(key),
    });
    for (const source of deps.sources) void this.hear(source);
  }

  booked(booked: BookedRequest): void {
    const dialect = this.options.dialectOf(booked.worker.workerId);
    if (dialect === undefined) return;
    this.told.set(booked, dialect);
    this.tell(booked, dialect, { AddRequest: addRequestOf(booked, dialect) });
  }

  prefillDone(booked: BookedRequest): void {
    this.tellEnd(booked, "MarkPrefillCompleted");
  }

  freed(booked: BookedRequest): void {
    this.tellEnd(booked, "Free");
  }

  close(): void {
    this.watch.close();
    for (const source of this.deps.sources) source.close();
    this.deps.publishers.close();
  }

  private tellEnd(booked: BookedRequest, data: "MarkPrefillCompleted" | "Free"): void {
    const dialect = this.told.get(booked);
    if (dialect !== undefined) this.tell(booked, dialect, data);
  }

  /** Never throws: a request does not fail for what others do not hear. */
  private tell({ id, worker }: BookedRequest, dialect: Dialect, data: ActiveSequenceData): void {
    const router_id = this.deps.discovery.instanceId;
    const event: ActiveSequenceEvent = {
      request_id: `mmr-${hexOf(router_id)}-${id}`, // unique among all routers
      worker,
      data,
      router_id,
      ...(dialect.sequenceHasLora && { lora_name: null }),
    };
    try {
      this.deps.publishers.tell(event, dialect);
    } catch (error) {
      this.deps.log.debug("other routers were not told of a request", { error });
    }
  }

  /** Ends with the source. Never rejects. */
  private async hear(source: EventSource): Promise<void> {
    for await (const item of source) {
      if (item.kind === "message") this.message(item.bytes);
      else if (item.kind === "maybe_lost") this.options.replicas.forgetAll(); // the end of what was told may be missing
    }
  }

  private message(bytes: Uint8Array): void {
    try {
      for (const event of decodeActiveSequences(decodeEnvelope(bytes).payload))
        if (event.router_id !== this.deps.discovery.instanceId) this.deps.count(this.options.replicas.apply(event));
    } catch (error) {
      this.deps.count("malformed");
      this.deps.log.debug("message is no event of another router", { error });
    }
  }

  private came(key: string): void {
    const id = parseInstanceKey(key)?.instanceId;
    if (id === undefined) return;
    const keys = this.live.get(id);
    if (keys === undefined) this.live.set(id, new Set([key]));
    else keys.add(key);
  }

  private gone(key: string): void {
    const id = parseInstanceKey(key)?.instanceId;
    const keys = id === undefined ? undefined : this.live.get(id);
    if (id === undefined || keys === undefined || !keys.delete(key) || keys.size > 0) return;
    this.live.delete(id);
    this.options.replicas.forget(id);
  }
}

function addRequestOf(booked: BookedRequest, dialect: Dialect): AddRequest {
  const { hashes, islTokens, overlapBlocks, prefillTokens, tracksPrefill, expectedOutputTokens = null } = booked;
  const common = {
    token_sequence: hashes === undefined ? null : (Array.from(hashes) as SequenceHash[]),
    expected_output_tokens: expectedOutputTokens,
  };
  if (dialect.sequenceForm === "overlap") return { ...common, isl: BigInt(islTokens), overlap: BigInt(overlapBlocks) };
  const prefill_load_hint = { initial_effective_prefill_tokens: BigInt(prefillTokens), expected_prefill_duration: null };
  return { ...common, track_prefill_tokens: tracksPrefill, prefill_load_hint: tracksPrefill ? prefill_load_hint : null };
}

/** Another router's messages that may wait for this one; beyond that its load is forgotten and built up anew. */
const queueMax = 16_384;

export interface ReplicaSyncWay {
  /** On which this router tells; it hears both. */
  readonly eventPlane: "nats" | "zmq";
  /** IP literal under which others reach this process over ZMQ; default: as for the request plane. */
  readonly host?: string | undefined;
  /** Releases of the workers that are there already. */
  readonly dialects: Iterable<Dialect>;
}

/** Over a runtime's NATS and etcd. */
export async function openReplicaSync(
  runtime: Runtime,
  options: ReplicaSyncOptions,
  { eventPlane, host, dialects }: ReplicaSyncWay,
  { count, log }: Pick<ReplicaSyncDeps, "count" | "log">,
): Promise<ReplicaSync> {
  const { address } = options;
  const { discovery } = runtime;
  const nats = await runtime.nats();
  const publishers =
    eventPlane === "zmq"
      ? SequencePublishers.onZmq(address, host, { discovery, log })
      : SequencePublishers.onNats(address, { discovery, publish: (subject, bytes) => nats.publish(subject, bytes) });
  for (const dialect of dialects) publishers.prepare(dialect);
  const sources = [
    new CoreSource(nats, { subjects: sequenceSubjects(address), queueMax }),
    new ZmqSource(discovery, { ...address, topic: sequenceTopic, queueMax }, log),
  ];
  return new ReplicaSync(options, { discovery, publishers, sources, count, log });
}
