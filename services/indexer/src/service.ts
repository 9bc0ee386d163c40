// Wires the indexer: discovery → membership, sources → ingest → index, index → routers and HTTP.
//
//   start   lease · workers known · log and own streams opened · stored events read · workers asked · served · HTTP
//   close   the other way round
import { RadixTree } from "@mm-router/kv";
import { AppError, indexLookupEndpoint } from "@mm-router/protocol";
import {
  connectRuntime,
  type Logger,
  type RunningService,
  type Runtime,
  runtimeConfigOf,
  type ServedEndpoint,
  type ServiceDeps,
  systemClock,
  withDeadline,
} from "@mm-router/runtime";
import { type IndexerConfig, streamLimitsOf } from "./config.ts";
import { EventLog } from "./event-log.ts";
import { type HttpServer, serveHttp, type WorkerStatus } from "./http.ts";
import { Ingest } from "./ingest.ts";
import { Membership } from "./membership.ts";
import { indexerGauges, type IndexerMetrics, indexerMetrics } from "./metrics.ts";
import { lookupAnswerer, queryHandler } from "./query-endpoint.ts";
import { Recovery } from "./recovery.ts";

export interface Indexer extends RunningService {
  readonly httpPort: number;
}

/** Starts the indexer: when this resolves, the index holds what the workers hold and is served. */
export async function createIndexer(config: IndexerConfig, deps: ServiceDeps): Promise<Indexer> {
  const { log } = deps;
  await using opened = new AsyncDisposableStack();
  const runtime = await connectRuntime(runtimeConfigOf(config, deps.service), deps);
  opened.defer(() => runtime.close());

  const { index, membership, ingest, metrics } = createParts(config, deps, runtime);
  opened.defer(() => membership.close());
  opened.defer(() => ingest.close());
  const eventLog = opened.use(await openEventLog(config, { runtime, ingest, metrics, log }));
  const listed = Promise.all([membership.ready(), eventLog.ready]);
  await withDeadline(listed, config.connectDeadlineS * 1000, "listing the workers", deps.signal);
  indexerGauges(deps.metrics, {
    size: () => index.size,
    workers: () => membership.workers.length,
    recovering: () => ingest.recovering,
    silentSeconds: () => ingest.silentSeconds,
    lag: () => eventLog.lag,
    ranks: () => membership.workers.flatMap((workerId) => ingest.statusOf(workerId)),
    bridged: () => eventLog.bridged,
  });
  await readStored(config, ingest, eventLog, log);

  const address = { namespace: config.namespace, component: config.component, endpoint: config.endpoint };
  const queryDeps = { index, workersOf: (model: string) => membership.workersOf(model), metrics, clock: systemClock };
  const lookup = await runtime.endpoint({ ...address, endpoint: indexLookupEndpoint }).serveAnswers(lookupAnswerer(queryDeps));
  opened.defer(() => stopServing(lookup, config));
  const served = await runtime.endpoint(address).serve(queryHandler(queryDeps));
  opened.defer(() => stopServing(served, config));

  const http = await openHttp(config, deps, { index, membership, ingest, eventLog });
  opened.defer(() => http.close());
  log.info("serving the index", { ...address, http_port: http.port, workers: membership.workers.length, ...index.size });
  const closers = opened.move();
  return { httpPort: http.port, close: () => closers.disposeAsync(), endpoints: () => ({ [config.endpoint]: "ready" }) };
}

interface Parts {
  readonly index: RadixTree;
  readonly membership: Membership;
  readonly ingest: Ingest;
  readonly metrics: IndexerMetrics;
}

function createParts(config: IndexerConfig, { log, metrics: registry }: ServiceDeps, runtime: Runtime): Parts {
  const metrics = indexerMetrics(registry);
  const index = new RadixTree({ entriesMax: config.entriesMax });
  const membership: Membership = new Membership(
    runtime.discovery,
    { namespace: config.namespace, component: config.component },
    {
      workerCame: (workerId) => ingest.workerCame(workerId),
      workerGone: (workerId) => ingest.workerGone(workerId),
      recoverable: (worker) => ingest.recoverable(worker),
    },
    log,
  );
  const recovery = new Recovery(
    { timeoutMs: config.recoveryTimeoutS * 1000, concurrency: config.recoveriesMax },
    {
      targetOf: (worker) => membership.recoveryTarget(worker),
      tellsLastEvent: ({ workerId }) => membership.dialectOf(workerId).recoveryTellsLastEvent,
      clientOf: ({ address }) => runtime.endpoint(address).client(),
      log,
    },
  );
  const ask = recovery.ask.bind(recovery);
  const ingest: Ingest = new Ingest({ index, workers: membership, ask, metrics, clock: systemClock, log });
  return { index, membership, ingest, metrics };
}

async function openEventLog(
  { namespace, component, ...config }: IndexerConfig,
  { runtime, ingest, metrics, log }: Pick<Parts, "ingest" | "metrics"> & { readonly runtime: Runtime; readonly log: Logger },
): Promise<EventLog> {
  return await EventLog.open(
    { where: { namespace, component }, limits: () => streamLimitsOf(config) },
    {
      nats: await runtime.nats(),
      discovery: runtime.discovery,
      doubtPublisher: (publisherId) => ingest.doubtPublisher(publisherId),
      malformed: () => metrics.undecodable(),
      log,
    },
  );
}

/** Lets the sources run; waits until what they stored is applied and the workers have told the rest, or for the deadline. */
async function readStored(config: IndexerConfig, ingest: Ingest, eventLog: EventLog, log: Logger): Promise<void> {
  const read = eventLog.sources.map((source) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    void ingest.run(source, resolve);
    return promise;
  });
  const settled = async (): Promise<void> => {
    await Promise.all([...read, eventLog.heard()]);
    ingest.caughtUp();
    await ingest.settled();
  };
  try {
    await withDeadline(settled(), config.readyDeadlineS * 1000, "reading what the workers hold");
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "deadline_exceeded") throw error;
    log.warn("serving an index that is not complete yet", { deadline_s: config.readyDeadlineS, recovering: ingest.recovering });
  }
}

async function stopServing(served: ServedEndpoint, config: IndexerConfig): Promise<void> {
  await served.withdraw();
  await served.drain(config.gracePeriodS * 1000);
}

async function openHttp(
  config: IndexerConfig,
  { metrics }: ServiceDeps,
  { index, membership, ingest, eventLog }: Omit<Parts, "metrics"> & { readonly eventLog: EventLog },
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
