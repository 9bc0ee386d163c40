// Wires the indexer: discovery → membership, sources → ingest → index, index → routers and HTTP.
//
//   start   lease · snapshot · workers known · log and own streams opened · later events read · workers asked · served · HTTP · snapshots
//   close   the other way round
import type { RadixTree } from "@mm-router/kv";
import { AppError, indexLookupEndpoint, kvStreamName } from "@mm-router/protocol";
import {
  connectRuntime,
  JetStreamSource,
  type Logger,
  metricsEndpoint,
  metricsHandler,
  type RunningService,
  type Runtime,
  runtimeConfigOf,
  type ServedEndpoint,
  type ServiceDeps,
  SnapshotStore,
  type StreamPosition,
  systemClock,
  withDeadline,
} from "@mm-router/runtime";
import { type IndexerConfig, snapshotLimitsOf, streamLimitsOf } from "./config.ts";
import { EventLog } from "./event-log.ts";
import { type HttpServer, serveHttp, type WorkerStatus } from "./http.ts";
import { Ingest } from "./ingest.ts";
import { Membership } from "./membership.ts";
import { indexerGauges, type IndexerMetrics, indexerMetrics } from "./metrics.ts";
import { lookupAnswerer, queryHandler } from "./query-endpoint.ts";
import { Recovery } from "./recovery.ts";
import { loadSnapshot } from "./snapshot/snapshot-loader.ts";
import { SnapshotWriter } from "./snapshot/snapshot-writer.ts";
import { StreamReplay } from "./stream-replay.ts";

export interface Indexer extends RunningService {
  readonly httpPort: number;
}

/** Starts the indexer: when this resolves, the index holds what the workers hold and is served. */
export async function createIndexer(config: IndexerConfig, deps: ServiceDeps): Promise<Indexer> {
  const { log } = deps;
  await using opened = new AsyncDisposableStack();
  const runtime = await connectRuntime(runtimeConfigOf(config, deps.service), deps);
  opened.defer(() => runtime.close());

  let writer: SnapshotWriter | undefined;
  const metrics = indexerMetrics(deps.metrics);
  const snapshots = await openSnapshots(config, runtime, log);
  const restored = await loadSnapshot(snapshots, config, config, { metrics, log });
  const nats = await runtime.nats();
  const { index, membership, ingest } = createParts(config, deps, { runtime, nats, metrics, index: restored.index });
  opened.defer(() => membership.close());
  opened.defer(() => ingest.close());
  const { positions } = restored;
  const eventLog = opened.use(await openEventLog(config, { runtime, membership, ingest, metrics, positions, log }));
  const listed = Promise.all([membership.ready(), eventLog.ready]);
  await withDeadline(listed, config.connectDeadlineS * 1000, "listing the workers", deps.signal);
  indexerGauges(deps.metrics, {
    size: () => index.size,
    sharing: () => index.sharing(),
    workers: () => membership.workers.length,
    recovering: () => ingest.recovering,
    silentSeconds: () => ingest.silentSeconds,
    lag: () => eventLog.lag,
    ranks: () => membership.workers.flatMap((workerId) => ingest.statusOf(workerId)),
    bridged: () => eventLog.bridged,
    snapshotAgeSeconds: () => writer?.ageSeconds,
  });
  for (const state of restored.ranks) ingest.resume(state, eventLog.sourceOf(state.stream));
  await readStored(config, ingest, eventLog, log);
  writer = snapshots && opened.use(new SnapshotWriter(config, { index, ingest, eventLog, store: snapshots, metrics, log }));

  const address = { namespace: config.namespace, component: config.component, endpoint: config.endpoint };
  const queryDeps = { index, workersOf: (model: string) => membership.workersOf(model), metrics, clock: systemClock };
  const lookup = await runtime.endpoint({ ...address, endpoint: indexLookupEndpoint }).serveAnswers(lookupAnswerer(queryDeps));
  opened.defer(() => stopServing(lookup, config));
  const told = await runtime.endpoint({ ...address, endpoint: metricsEndpoint }).serve(metricsHandler(deps.metrics));
  opened.defer(() => stopServing(told, config));
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

type Nats = Awaited<ReturnType<Runtime["nats"]>>;
type GivenParts = Pick<Parts, "index" | "metrics"> & { readonly runtime: Runtime; readonly nats: Nats };

function createParts(config: IndexerConfig, { log }: ServiceDeps, { runtime, nats, index, metrics }: GivenParts): Parts {
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
  const replay = new StreamReplay({
    open: () => new JetStreamSource(nats, { stream: kvStreamName(config) }, log),
    eventIdsStartAt: ({ workerId }) => membership.dialectOf(workerId).eventIdsStartAt,
  });
  const ingest: Ingest = new Ingest({ index, workers: membership, ask, replay, metrics, clock: systemClock, log });
  return { index, membership, ingest, metrics };
}

/** undefined: none are wanted, or the server cannot keep them. */
async function openSnapshots(config: IndexerConfig, runtime: Runtime, log: Logger): Promise<SnapshotStore | undefined> {
  if (config.snapshotIntervalS === 0) return undefined;
  try {
    return await SnapshotStore.open(await runtime.nats(), config, snapshotLimitsOf(config));
  } catch (error) {
    log.warn("no snapshots of the index: a restart begins with the log and the workers", { error });
    return undefined;
  }
}

type LogParts = Pick<Parts, "membership" | "ingest" | "metrics"> & {
  readonly runtime: Runtime;
  readonly positions: readonly StreamPosition[];
  readonly log: Logger;
};

async function openEventLog(
  { namespace, component, ...config }: IndexerConfig,
  { runtime, membership, ingest, metrics, positions, log }: LogParts,
): Promise<EventLog> {
  return await EventLog.open(
    { where: { namespace, component }, limits: () => streamLimitsOf(config, membership.poolBlocks), positions },
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
