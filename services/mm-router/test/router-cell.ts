// One story's cast: scripted workers, a scripted index, the router under test, and a caller, all over real servers.
//
//   caller ──▶ mm_router.generate (ours) ──▶ trtllm.generate (scripted)
//                        └──▶ trtllm.kv_indexer_query (scripted)
import { randomUUID } from "node:crypto";
import {
  type Annotated,
  cardKey,
  decodeDataFrame,
  decodeModelCard,
  type EndpointAddress,
  encodeCardEntry,
  encodeIndexerAnswer,
  encodeInstance,
  indexQueryEndpoint,
  type InstanceId,
  instanceKey,
  type ModelCard,
  parseJson,
  type RankScore,
  type Transport,
} from "@mm-router/protocol";
import {
  type Call,
  connectRuntime,
  createLogger,
  createMetrics,
  type EndpointClient,
  type Handler,
  type IncomingRequest,
  type Metrics,
  parseConfig,
  requestPlaneDefaults,
  type ResponseStream,
  type Runtime,
  type RunningService,
  serviceFields,
  noTracer,
} from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import type { EtcdServer, NatsServer } from "@mm-router/testkit/infra";
import { modelDir } from "@mm-router/testkit";
import { routerFields } from "../src/config.ts";
import { decodeExplanation, explainEndpoint, type Explanation } from "../src/explain.ts";
import { createRouter } from "../src/service.ts";

export interface Servers {
  readonly nats: NatsServer;
  readonly etcd: EtcdServer;
}

export type Plane = "nats" | "tcp";

const baseCard = golden<{ base: ModelCard }>("wire/card-acceptance.json").base;
const quiet = createLogger({ service: "test", level: "error", destination: () => {} });

/** Card members by which a worker's release shows; the instance record of a scripted worker tells nothing. */
const releaseMarks: Record<string, Partial<ModelCard>> = {
  "1.0": { worker_type: undefined, runtime_config: { data_parallel_start_rank: 0, data_parallel_size: 1 } },
  "1.4": { worker_type: "aggregated" },
  "1.6": { worker_type: "aggregated", runtime_config: { structural_tag: {}, data_parallel_size: 1 } },
};

export interface ScriptedWorker {
  readonly instanceId: InstanceId;
  readonly runtime: Runtime;
  /** What came, in order. */
  readonly requests: IncomingRequest[];
}

export interface StartingRouter {
  /** Rejects as the process would end. */
  readonly started: Promise<RunningService>;
  readonly metrics: Metrics;
  /** What was logged so far. */
  readonly lines: Record<string, unknown>[];
}

export class RouterCell implements AsyncDisposable {
  readonly namespace = `t-${randomUUID().slice(0, 8)}`;
  private readonly servers: Servers;
  private readonly plane: Plane;
  private readonly opened = new AsyncDisposableStack();
  private callerRuntime: Promise<Runtime> | undefined;

  constructor(servers: Servers, plane: Plane = "nats") {
    this.servers = servers;
    this.plane = plane;
  }

  address(component: string, endpoint = "generate"): EndpointAddress {
    return { namespace: this.namespace, component, endpoint };
  }

  /** A process of its own: another lease, another id. */
  async runtime(): Promise<Runtime> {
    const runtime = await connectRuntime(
      {
        etcd: { endpoints: [this.servers.etcd.url], leaseTtlS: 10, connectDeadlineMs: 10_000 },
        nats: { servers: this.servers.nats.url },
        requestPlane: { ...requestPlaneDefaults, plane: this.plane, host: "127.0.0.1" },
        service: { name: "test", version: "0.1.0" },
      },
      { log: quiet, metrics: createMetrics({ processMetrics: false }) },
    );
    return this.opened.adopt(runtime, (open) => open.close());
  }

  async worker(handler: Handler, options: CardOptions & { component?: string } = {}): Promise<ScriptedWorker> {
    const runtime = await this.runtime();
    const address = this.address(options.component ?? "trtllm");
    const requests: IncomingRequest[] = [];
    await runtime.endpoint(address).serve((request, sink) => {
      requests.push(request);
      return handler(request, sink);
    });
    await registerCard(runtime, address, options);
    return { instanceId: runtime.discovery.instanceId, runtime, requests };
  }

  /** The records of a worker that died a moment ago. */
  async recordOfNobody(): Promise<InstanceId> {
    const runtime = await this.runtime();
    const address = this.address("trtllm");
    const transport: Transport =
      this.plane === "nats" ? { kind: "nats", subject: "nobody.there" } : { kind: "tcp", host: "127.0.0.1", port: 1, path: "1/x" };
    await runtime.discovery.register((instanceId) => ({
      key: instanceKey(address, instanceId),
      value: encodeInstance({ address, instanceId, transport }),
    }));
    await registerCard(runtime, address, {});
    return runtime.discovery.instanceId;
  }

  /** Answers every query with what `scores` says; returns the queries that came. */
  async index(scores: (query: { model_name: string; block_hashes: bigint[] }) => RankScore[] | Promise<RankScore[]>): Promise<unknown[]> {
    const queries: unknown[] = [];
    const runtime = await this.runtime();
    await runtime.endpoint(this.address("trtllm", indexQueryEndpoint)).serve(async ({ body }, sink) => {
      const query = parseJson(body) as unknown as { model_name: string; block_hashes: bigint[] };
      queries.push(query);
      await sink.frames([encodeIndexerAnswer("json", { kind: "scores", scores: await scores(query) })]);
    });
    return queries;
  }

  /** The service as its process would run it. */
  startRouter(argv: string[] = [], environment: Record<string, string> = {}): StartingRouter {
    const env = {
      NATS_SERVER: this.servers.nats.url,
      ETCD_ENDPOINTS: this.servers.etcd.url,
      DYN_REQUEST_PLANE: this.plane,
      DYN_TCP_RPC_HOST: "127.0.0.1",
      DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "0",
      MMR_INDEX: "served",
      MMR_INDEX_DEADLINE_MS: "5000", // a loaded machine is no late index
      ...environment,
    };
    const model = ["--model", modelDir({ modelType: "qwen2_vl" }), "--served-model-name", "m", "--namespace", this.namespace];
    const config = parseConfig({ ...serviceFields, ...routerFields }, [...model, ...argv], env);
    const lines: Record<string, unknown>[] = [];
    const log = createLogger({
      service: "mm-router",
      level: "debug",
      destination: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    });
    const metrics = createMetrics({ processMetrics: false });
    const deps = {
      log,
      metrics,
      tracer: noTracer,
      signal: new AbortController().signal,
      service: { name: "mm-router", version: "0.1.0" },
      passThrough: [],
      environment: env,
    };
    const started = createRouter(config, deps).then((running) => {
      let closed: Promise<void> | undefined;
      const service = { ...running, close: () => (closed ??= running.close()) };
      this.opened.defer(() => service.close());
      return service;
    });
    return { started, metrics, lines };
  }

  async router(argv: string[] = [], environment: Record<string, string> = {}): Promise<StartingRouter & { service: RunningService }> {
    const router = this.startRouter(argv, environment);
    return { ...router, service: await router.started };
  }

  /** Calls the router as a frontend would. */
  async call(body: string | Buffer, changes: Partial<Call> = {}, component = "mm_router"): Promise<ResponseStream> {
    const client = await this.caller("generate", component);
    return client.roundRobin({ contextId: randomUUID(), body: Buffer.from(body), signal: new AbortController().signal, ...changes });
  }

  async items(body: string | Buffer, changes: Partial<Call> = {}, component = "mm_router"): Promise<Annotated[]> {
    return itemsOf(await this.call(body, changes, component));
  }

  /** What the router would do with a request. */
  async explanation(body: string, component = "mm_router"): Promise<Explanation> {
    const client = await this.caller(explainEndpoint, component);
    const call = { contextId: randomUUID(), body: Buffer.from(body), signal: new AbortController().signal };
    const [item] = await itemsOf(await client.roundRobin(call));
    return decodeExplanation(item?.data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.opened.disposeAsync();
  }

  private async caller(endpoint: string, component: string): Promise<EndpointClient> {
    this.callerRuntime ??= this.runtime();
    const client = (await this.callerRuntime).endpoint(this.address(component, endpoint)).client();
    this.opened.defer(() => client.close());
    await client.ready();
    return client;
  }
}

interface CardOptions {
  readonly release?: string;
  readonly card?: Partial<ModelCard>;
}

async function registerCard(runtime: Runtime, address: EndpointAddress, { release = "1.4", card: facts }: CardOptions): Promise<void> {
  const members = { ...baseCard, display_name: "m__internal", slug: "m__internal", ...releaseMarks[release], ...facts };
  const card = decodeModelCard(Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)));
  await runtime.discovery.register((instanceId) => ({
    key: cardKey(address, instanceId),
    value: encodeCardEntry({ address, instanceId, card }),
  }));
}

export async function itemsOf(stream: ResponseStream): Promise<Annotated[]> {
  const items: Annotated[] = [];
  for await (const frames of stream) items.push(...frames.map((frame) => decodeDataFrame("json", frame).item!));
  return items;
}

/** A worker that gives these tokens, one item each. */
export const says =
  (...tokens: number[]): Handler =>
  async (_request, sink) => {
    for (const token of tokens) await sink.item({ data: { token_ids: [token], index: 0 } });
  };

/** A text prompt of that many tokens. */
export function textRequest(tokens: number, more = ""): string {
  return `{"model":"m","token_ids":[${Array.from({ length: tokens }, (_, i) => 1000 + i).join(",")}],"stop_conditions":{"max_tokens":4},"routing":{"priority":1.0}${more}}`;
}

/** Waits for a fact; the test's own time limit ends a wait in vain. */
export async function fact(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
