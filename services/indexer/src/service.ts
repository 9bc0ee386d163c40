// Wires the indexer: an index that follows the workers, served to routers and over HTTP.
//
//   start   lease · index (packages/kv-indexer) · served · HTTP
//   close   the other way round
import { indexLookupEndpoint } from "@mm-router/protocol";
import { KvIndexer } from "@mm-router/kv-indexer";
import {
  connectRuntime,
  metricsEndpoint,
  metricsHandler,
  type RunningService,
  runtimeConfigOf,
  type ServedEndpoint,
  type ServiceDeps,
  systemClock,
} from "@mm-router/runtime";
import type { IndexerConfig } from "./config.ts";
import { type HttpServer, serveHttp, type WorkerStatus } from "./http.ts";
import { lookupAnswerer, queryHandler } from "./query-endpoint.ts";

export interface Indexer extends RunningService {
  readonly httpPort: number;
}

/** Starts the indexer: when this resolves, the index holds what the workers hold and is served. */
export async function createIndexer(config: IndexerConfig, deps: ServiceDeps): Promise<Indexer> {
  const { log } = deps;
  await using opened = new AsyncDisposableStack();
  const runtime = await connectRuntime(runtimeConfigOf(config, deps.service), deps);
  opened.defer(() => runtime.close());

  const { namespace, component, endpoint } = config;
  const address = { namespace, component, endpoint };
  const kvIndexer = opened.use(
    await KvIndexer.open({ ...config, where: { namespace, component }, snapshots: config }, { ...deps, runtime }),
  );
  const queryDeps = { index: kvIndexer, metrics: kvIndexer.metrics, clock: systemClock };
  const lookup = await runtime.endpoint({ ...address, endpoint: indexLookupEndpoint }).serveAnswers(lookupAnswerer(queryDeps));
  opened.defer(() => stopServing(lookup, config));
  const told = await runtime.endpoint({ ...address, endpoint: metricsEndpoint }).serve(metricsHandler(deps.metrics));
  opened.defer(() => stopServing(told, config));
  const served = await runtime.endpoint(address).serve(queryHandler(queryDeps));
  opened.defer(() => stopServing(served, config));

  const http = await openHttp(config, deps, kvIndexer);
  opened.defer(() => http.close());
  const { membership, index } = kvIndexer;
  log.info("serving the index", { ...address, http_port: http.port, workers: membership.workers.length, ...index.size });
  const closers = opened.move();
  return { httpPort: http.port, close: () => closers.disposeAsync(), endpoints: () => ({ [config.endpoint]: "ready" }) };
}

async function stopServing(served: ServedEndpoint, config: IndexerConfig): Promise<void> {
  await served.withdraw();
  await served.drain(config.gracePeriodS * 1000);
}

async function openHttp(
  config: IndexerConfig,
  { metrics }: ServiceDeps,
  { index, membership, ingest, eventLog }: KvIndexer,
): Promise<HttpServer> {
  const workers = (): WorkerStatus[] =>
    membership.workers.map((workerId) => ({
      workerId,
      models: membership.modelsOf(workerId),
      blockSize: config.blockSize ?? membership.blockSizeOf(workerId),
      ranks: ingest.statusOf(workerId),
    }));
  return await serveHttp(config.httpHost, config.httpPort, { index, metrics, workers, lag: () => eventLog.lag });
}
