// A worker that stores and removes what a test says, in the form of any release, over the transport that the release takes.
//
//   store, remove ──▶ its own index (the truth) ──▶ event ──▶ published, unless the test loses it
//                                    ▲
//   recovery query ──────────────────┘   shaped as the release answers
import { randomUUID } from "node:crypto";
import { NaiveIndex } from "@mm-router/kv/testing";
import {
  type BlockHash,
  cardKey,
  decodeRecoveryQuery,
  type Dialect,
  dialectOf,
  type EndpointAddress,
  encodeCardEntry,
  encodeEventPayloads,
  encodeEventSource,
  encodeRecoveryAnswer,
  encodeRouterEvent,
  eventScopeOf,
  eventSourceKey,
  eventSubject,
  type ExternalHash,
  type InstanceId,
  kvStreamName,
  type KvEventData,
  type ModelCard,
  recoveryEndpointOf,
  type RecoveryAnswer,
  type RecoveryQuery,
  type RouterEvent,
  routerEventFor,
  stringifyJson,
  type U64,
  type WorkerKey,
} from "@mm-router/protocol";
import {
  connectRuntime,
  createLogger,
  createMetrics,
  EventPublisher,
  randomPublisherId,
  requestPlaneDefaults,
  type RequestPlaneConfig,
  type Runtime,
} from "@mm-router/runtime";

export interface Servers {
  readonly nats: { readonly url: string };
  readonly etcd: { readonly url: string };
}

const quiet = createLogger({ service: "scripted-worker", level: "error", destination: () => {} });

export async function connect(servers: Servers, plane: RequestPlaneConfig["plane"] = "nats"): Promise<Runtime & AsyncDisposable> {
  const runtime = await connectRuntime(
    {
      etcd: { endpoints: [servers.etcd.url], leaseTtlS: 10, connectDeadlineMs: 10_000 },
      nats: { servers: servers.nats.url },
      requestPlane: { ...requestPlaneDefaults, host: "127.0.0.1", plane },
      service: { name: "scripted-worker", version: "0.1.0" },
    },
    { log: quiet, metrics: createMetrics({ processMetrics: false }) },
  );
  return { ...runtime, [Symbol.asyncDispose]: runtime.close };
}

export interface WorkerOptions {
  readonly release: string;
  readonly address: EndpointAddress;
  readonly model?: string;
  readonly ranks?: number;
  /** Events on JetStream instead of core (0.9 as it comes, `--durable-kv-events` of 1.0 and 1.2): nobody answers recovery queries. */
  readonly durable?: boolean;
  readonly plane?: RequestPlaneConfig["plane"];
  /** What its card says of its cache. */
  readonly poolBlocks?: number;
}

interface Rank {
  readonly key: WorkerKey;
  readonly events: RouterEvent[];
  readonly publisher: EventPublisher;
}

/** Events that a rank remembers; real workers keep 1024. */
const ring = 16;

export class ScriptedWorker implements AsyncDisposable {
  readonly id: InstanceId;
  /** What its ranks hold. */
  readonly truth = new NaiveIndex();
  /** Recovery queries that came. */
  readonly asked: RecoveryQuery[] = [];
  /** While true, recovery queries are taken and never answered. */
  silent = false;
  readonly #runtime: Runtime;
  readonly #options: WorkerOptions;
  readonly #dialect: Dialect;
  readonly #ranks: Rank[] = [];

  private constructor(runtime: Runtime, options: WorkerOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#dialect = dialectOf(options.release);
    this.id = runtime.discovery.instanceId;
  }

  static async start(servers: Servers, options: WorkerOptions): Promise<ScriptedWorker> {
    const worker = new ScriptedWorker(await connect(servers, options.plane), options);
    await worker.#register();
    return worker;
  }

  /** Stores a path of blocks, each named by what leads to it. */
  async store(path: readonly bigint[], how: { rank?: number; lost?: boolean } = {}): Promise<void> {
    const blocks = path.map((tokens, depth) => ({ block_hash: nameOf(path, depth + 1) as ExternalHash, tokens_hash: tokens as BlockHash }));
    await this.#tell({ stored: { parent_hash: null, blocks } }, how);
  }

  async remove(path: readonly bigint[], how: { rank?: number; lost?: boolean } = {}): Promise<void> {
    await this.#tell({ removed: { block_hashes: [nameOf(path, path.length) as ExternalHash] } }, how);
  }

  /** Publishes an event again. */
  async repeat(index: number, rank = 0): Promise<void> {
    await this.#publish(this.#ranks[rank]!, this.#ranks[rank]!.events[index]!);
  }

  /** Ends it as kill -9 would for others: its keys go with the lease, nothing is said. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime.close();
  }

  async #register(): Promise<void> {
    const { address, ranks = 1, durable } = this.#options;
    const runtime = this.#runtime;
    await runtime.discovery.register((instanceId) => ({
      key: cardKey(address, instanceId),
      value: encodeCardEntry({ address, instanceId, card: this.#card() }),
    }));
    const nats = await runtime.nats();
    const subject = eventSubject(this.#dialect.eventNaming, eventScopeOf(this.#dialect.eventNaming, address, "kv-events"), "kv-events");
    for (let dpRank = 0; dpRank < ranks; dpRank++) {
      const publisherId = this.#dialect.publisherId === "instance" ? this.id : randomPublisherId();
      const key = { workerId: this.id, dpRank };
      this.#ranks.push({ key, events: [], publisher: new EventPublisher(nats, { subject, topic: "kv-events", publisherId }) });
      if (durable !== true) await this.#serveRecovery(key, publisherId);
    }
    if (durable === true) await this.#makeStream();
    await runtime.endpoint(address).serve(async () => {});
  }

  async #serveRecovery(key: WorkerKey, publisherId: U64): Promise<void> {
    const { address } = this.#options;
    const naming = this.#dialect.recoveryNaming;
    if (naming === undefined) return;
    const recovery = { ...address, endpoint: recoveryEndpointOf(naming, { dpRank: key.dpRank, publisherId }) };
    await this.#runtime.endpoint(recovery).serve(async ({ body, codec, signal }, sink) => {
      const query = decodeRecoveryQuery(codec, body);
      this.asked.push(query);
      if (this.silent) return await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      await sink.frames([encodeRecoveryAnswer(codec, this.#answer(key, query))]);
    });
    if (naming !== "publisher") return;
    const recoveryTarget = { address: recovery, instanceId: this.id, transport: { kind: "nats" as const, subject: "unused" } };
    await this.#runtime.discovery.register(() => ({
      key: eventSourceKey(address, "kv-events", publisherId),
      value: encodeEventSource({ scope: address, topic: "kv-events", publisherId, worker: key, recoveryTarget }),
    }));
  }

  #answer({ dpRank }: WorkerKey, { start }: RecoveryQuery): RecoveryAnswer {
    const { key, events } = this.#ranks[dpRank]!;
    const first = BigInt(this.#dialect.eventIdsStartAt ?? 1);
    const newest = first + BigInt(events.length) - 1n;
    const said = this.#dialect.recoveryTellsLastEvent ? { lastEventId: newest } : {}; // 0 before the first event
    if (start !== null && start > newest && events.length > 0) {
      return { kind: "too_new", requestedStart: start, requestedEnd: newest, newestAvailable: newest };
    }
    const from = start === null ? -1 : Number(start - first);
    if (from >= 0 && from >= events.length - ring) return { kind: "events", events: events.slice(from), ...said };
    return { kind: "dump", events: [...this.truth.dump(key)], ...said };
  }

  async #tell(data: KvEventData, { rank = 0, lost = false }: { rank?: number; lost?: boolean }): Promise<void> {
    const { key, events } = this.#ranks[rank]!;
    const event = routerEventFor(this.#dialect, key, BigInt(this.#dialect.eventIdsStartAt ?? 1) + BigInt(events.length), data);
    events.push(event);
    this.truth.apply(event);
    if (!lost) await this.#publish(this.#ranks[rank]!, event);
  }

  async #publish({ publisher }: Rank, event: RouterEvent): Promise<void> {
    if (this.#options.durable !== true) return publisher.publish(encodeEventPayloads(this.#dialect, [event])[0]!);
    const stream = kvStreamName(this.#options.address);
    await this.#request(`${stream}.${this.#dialect.jetStreamSubject}`, encodeRouterEvent(event, "json"));
  }

  /** As the workers make it: whoever comes first, an existing one stays. */
  async #makeStream(): Promise<void> {
    const name = kvStreamName(this.#options.address);
    await this.#request(`$JS.API.STREAM.CREATE.${name}`, stringifyJson({ name, subjects: [`${name}.*`], max_age: 3_600_000_000_000 }));
  }

  /** JetStream acknowledges what it stores and does with a reply. */
  async #request(subject: string, payload: string | Uint8Array): Promise<void> {
    await (await this.#runtime.nats()).request(subject, payload, { timeout: 5_000 });
  }

  /** With the members that tell the release (worker.md §3.5). */
  #card(): ModelCard {
    const { line } = this.#dialect;
    const file = { path: "/models/m/file.json", checksum: `blake3:${"0".repeat(64)}` };
    const signs: Record<string, object> = {
      "0.9": {},
      "1.0": { data_parallel_start_rank: 0 },
      "1.2": { data_parallel_start_rank: 0, enable_eagle: false },
      "1.4": { data_parallel_start_rank: 0 },
      "1.5": { tool_call_arguments_format: "json_string" },
      "1.6": { structural_tag: {} },
    };
    return {
      display_name: this.#options.model ?? "m",
      slug: "m",
      model_info: { hf_config_json: file },
      tokenizer: { hf_tokenizer_json: file },
      prompt_formatter: { hf_tokenizer_config_json: file },
      kv_cache_block_size: 16,
      migration_limit: 0,
      model_type: "Chat | Completions",
      model_input: "Tokens",
      ...(line === "1.4" && { worker_type: "aggregated" }),
      runtime_config: { ...signs[line], total_kv_blocks: this.#options.poolBlocks ?? null },
    } as ModelCard;
  }
}

function nameOf(path: readonly bigint[], depth: number): bigint {
  return path.slice(0, depth).reduce((name, tokens) => BigInt.asUintN(64, name * 0x100000001b3n + tokens), 0xcbf29ce484222325n);
}

/** An address of its own for a test. */
export function freshAddress(): EndpointAddress {
  return { namespace: `t-${randomUUID().slice(0, 8)}`, component: "backend", endpoint: "generate" };
}
