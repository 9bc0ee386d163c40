// Who the workers are: instances and cards of one component, and whom to ask about each rank's blocks.
//
//   v1/instances/NS/COMP/…       a worker lives as long as one of its endpoints stands here
//   v1/mdc/NS/COMP/…             its models, block size, release
//   v1/event_sources/…           ≥ 1.4: which endpoint answers for which rank
//
// G1  Routers and indexers register under the workers' component, too: their endpoints make no worker.
// G2  While etcd is away the last known workers stay.
import {
  type CardEntry,
  decodeCardEntry,
  decodeEventSource,
  decodeInstance,
  detectRelease,
  type Dialect,
  dialectOf,
  type EndpointAddress,
  type EventSource,
  eventSourcePrefix,
  indexLookupEndpoint,
  indexQueryEndpoint,
  type Instance,
  type InstanceId,
  instancePrefix,
  type ModelCard,
  cardPrefix,
  recoveryEndpointOf,
  type U64,
  type WorkerKey,
} from "@mm-router/protocol";
import { type Discovery, type Logger, metricsEndpoint, type Watch } from "@mm-router/runtime";

export interface MembershipListener {
  /** The last endpoint of a worker is gone. */
  workerGone(workerId: InstanceId): void;
  workerCame(workerId: InstanceId): void;
  /** Somebody can be asked about this rank's blocks. */
  recoverable(worker: WorkerKey): void;
}

/** An endpoint that answers recovery queries for one rank. */
export interface RecoveryTarget {
  readonly address: EndpointAddress;
  readonly instanceId: InstanceId;
}

/** What stands under a workers' component without being a worker. */
const foreignEndpoints: ReadonlySet<string> = new Set([
  indexQueryEndpoint,
  indexLookupEndpoint,
  metricsEndpoint,
  "kv_indexer_record_routing_decision",
  "router-discovery",
]);

export class Membership {
  readonly #where: Pick<EndpointAddress, "namespace" | "component">;
  readonly #listener: MembershipListener;
  readonly #log: Logger;
  readonly #instances = new Map<string, Instance>();
  readonly #cards = new Map<string, CardEntry>();
  readonly #sources = new Map<string, EventSource>();
  /** Endpoints of each worker. */
  readonly #workers = new Map<InstanceId, Map<string, Instance>>();
  /** What the records say now; asked for with every event. */
  readonly #dialects = new Map<InstanceId, Dialect>();
  readonly #watches: readonly Watch[];

  constructor(discovery: Discovery, where: Pick<EndpointAddress, "namespace" | "component">, listener: MembershipListener, log: Logger) {
    this.#where = where;
    this.#listener = listener;
    this.#log = log;
    this.#watches = [
      discovery.watch(cardPrefix(where), this.#follow(this.#cards, decodeCardEntry)),
      discovery.watch(
        eventSourcePrefix,
        this.#follow(this.#sources, (_, value) => decodeEventSource(value), { put: (source) => this.#sourceCame(source) }),
      ),
      discovery.watch(
        instancePrefix(where),
        this.#follow(this.#instances, decodeInstance, {
          put: (instance) => this.#came(instance),
          delete: (instance) => this.#went(instance),
        }),
      ),
    ];
  }

  /** Resolves after the first complete lists. */
  async ready(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.ready));
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  has(workerId: InstanceId): boolean {
    return this.#workers.has(workerId);
  }

  get workers(): readonly InstanceId[] {
    return [...this.#workers.keys()];
  }

  /** Facts of a worker's release; without a card the newest one's. */
  dialectOf(workerId: InstanceId): Dialect {
    const known = this.#dialects.get(workerId);
    if (known !== undefined) return known;
    const card = this.#cardsOf(workerId)[0];
    const release = card === undefined ? "1.6" : detectRelease(this.#workers.get(workerId)?.get(card.address.endpoint), card.card);
    const dialect = dialectOf(release);
    this.#dialects.set(workerId, dialect);
    return dialect;
  }

  /** Names of the models that a worker serves, LoRA adapters included. */
  modelsOf(workerId: InstanceId): string[] {
    return this.#cardsOf(workerId).map(({ card }) => card.display_name);
  }

  /** The workers that serve a model; undefined when nobody does. */
  workersOf(model: string): ReadonlySet<InstanceId> | undefined {
    const workers = new Set<InstanceId>();
    for (const { instanceId, card } of this.#cards.values()) if (card.display_name === model) workers.add(instanceId);
    return workers.size === 0 ? undefined : workers;
  }

  get models(): readonly string[] {
    return [...new Set([...this.#cards.values()].map(({ card }) => card.display_name))];
  }

  blockSizeOf(workerId: InstanceId): number | undefined {
    return this.#cardsOf(workerId)[0]?.card.kv_cache_block_size;
  }

  /** Blocks that the workers' caches hold together, as far as their cards say (null up to 1.2). */
  get poolBlocks(): number {
    const pools = this.workers.map((workerId) => Math.max(0, ...this.#cardsOf(workerId).map(({ card }) => poolOf(card))));
    return pools.reduce((sum, blocks) => sum + blocks, 0);
  }

  /** Whom to ask about a rank's blocks; undefined for durable events, decode workers, and 0.9 as it comes. */
  recoveryTarget(worker: WorkerKey): RecoveryTarget | undefined {
    for (const source of this.#sources.values()) {
      if (this.#isOurs(source) && source.worker.workerId === worker.workerId && source.worker.dpRank === worker.dpRank)
        return source.recoveryTarget;
    }
    const endpoints = this.#workers.get(worker.workerId);
    return endpoints?.get(recoveryEndpointOf("rank", { dpRank: worker.dpRank, publisherId: 0n })) ?? endpoints?.get(oneForAllRanks);
  }

  /** Every rank that somebody can be asked about. */
  recoverableRanks(): WorkerKey[] {
    const ranks = [...this.#sources.values()]
      .filter((source) => this.#isOurs(source) && this.has(source.worker.workerId))
      .map(({ worker }) => worker);
    for (const instance of this.#instances.values()) ranks.push(...rankOfEndpoint(instance));
    return ranks;
  }

  /** ≥ 1.4: the one that its source names; before, all that the instance can be asked about. */
  ranksOfPublisher(publisherId: U64): WorkerKey[] {
    const named = [...this.#sources.values()].filter((source) => source.publisherId === publisherId && this.#isOurs(source));
    if (named.length > 0) return named.map(({ worker }) => worker).filter(({ workerId }) => this.has(workerId));
    return this.recoverableRanks().filter(({ workerId }) => workerId === publisherId);
  }

  #cardsOf(workerId: InstanceId): CardEntry[] {
    return [...this.#cards.values()].filter(({ instanceId }) => instanceId === workerId);
  }

  #came(instance: Instance): void {
    const { address, instanceId } = instance;
    if (foreignEndpoints.has(address.endpoint)) return;
    const endpoints = this.#workers.get(instanceId);
    if (endpoints === undefined) this.#workers.set(instanceId, new Map([[address.endpoint, instance]]));
    else endpoints.set(address.endpoint, instance);
    if (endpoints === undefined) this.#listener.workerCame(instanceId);
    for (const rank of rankOfEndpoint(instance)) this.#listener.recoverable(rank);
  }

  #went({ address, instanceId }: Instance): void {
    const endpoints = this.#workers.get(instanceId);
    if (!endpoints?.delete(address.endpoint) || endpoints.size > 0) return;
    this.#workers.delete(instanceId);
    this.#listener.workerGone(instanceId);
  }

  #sourceCame(source: EventSource): void {
    if (this.#isOurs(source) && source.recoveryTarget !== undefined) this.#listener.recoverable(source.worker);
  }

  #isOurs({ scope, topic }: EventSource): boolean {
    return topic === "kv-events" && scope.namespace === this.#where.namespace && scope.component === this.#where.component;
  }

  /** Keeps decoded records by key. A record that cannot be read hides itself alone. */
  #follow<T>(
    records: Map<string, T>,
    decode: (key: string, value: string) => T,
    then: { put?(record: T): void; delete?(record: T): void } = {},
  ) {
    return {
      put: (key: string, value: string) => {
        try {
          const record = decode(key, value);
          records.set(key, record);
          this.#dialects.clear();
          then.put?.(record);
        } catch (error) {
          this.#log.warn("discovery record is not usable", { key, error });
        }
      },
      delete: (key: string) => {
        const record = records.get(key);
        records.delete(key);
        this.#dialects.clear();
        if (record !== undefined) then.delete?.(record);
      },
    };
  }
}

/** A cache for each rank. */
function poolOf({ runtime_config }: ModelCard): number {
  return (runtime_config?.total_kv_blocks ?? 0) * (runtime_config?.data_parallel_size ?? 1);
}

/** 0.9 has one endpoint for a worker that has one rank. */
const oneForAllRanks = recoveryEndpointOf("component", { dpRank: 0, publisherId: 0n });
const perRank = recoveryEndpointOf("rank", { dpRank: 0, publisherId: 0n }).replace(/0$/, "");

/** The rank that a recovery endpoint of ≤ 1.2 answers for; from 1.4 on the event source says it. */
function rankOfEndpoint({ address: { endpoint }, instanceId }: Instance): WorkerKey[] {
  if (endpoint === oneForAllRanks) return [{ workerId: instanceId, dpRank: 0 }];
  const rank = endpoint.startsWith(perRank) ? endpoint.slice(perRank.length) : "";
  return /^\d{1,9}$/.test(rank) ? [{ workerId: instanceId, dpRank: Number(rank) }] : [];
}
