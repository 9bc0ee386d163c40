// An index that follows the workers of one component: discovery → membership, sources → ingest → index. Served by services/indexer, or
// kept by a router for itself.
//
//   open    snapshot · workers known · log and own streams opened · later events read · workers asked · snapshots
//   close   the other way round
import type { OverlapScores, RadixTree } from "@mm-router/kv";
import { AppError, kvStreamName } from "@mm-router/protocol";
import {
  type CapturedComponent,
  JetStreamSource,
  type Logger,
  type Metrics,
  type Runtime,
  SnapshotStore,
  type StreamPosition,
  systemClock,
  withDeadline,
} from "@mm-router/runtime";
import { type KvIndexerConfig, type SnapshotConfig, snapshotLimitsOf, streamLimitsOf } from "./config.ts";
import { EventLog } from "./event-log.ts";
import { Ingest } from "./ingest.ts";
import { Membership } from "./membership.ts";
import { indexerGauges, type IndexerMetrics, indexerMetrics } from "./metrics.ts";
import { Recovery } from "./recovery.ts";
import { loadSnapshot } from "./snapshot/snapshot-loader.ts";
import { SnapshotWriter } from "./snapshot/snapshot-writer.ts";
import { StreamReplay } from "./stream-replay.ts";

export interface KvIndexerOptions extends KvIndexerConfig {
  /** The workers'. */
  readonly where: CapturedComponent;
  /** How long the first lists of workers and publishers may take. */
  readonly connectDeadlineS: number;
  /** Absent: none are written or read. */
  readonly snapshots?: SnapshotConfig;
}

export interface KvIndexerDeps {
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class KvIndexer implements AsyncDisposable {
  readonly index: RadixTree;
  readonly membership: Membership;
  readonly ingest: Ingest;
  readonly eventLog: EventLog;
  readonly metrics: IndexerMetrics;
  readonly #closers: AsyncDisposableStack;

  private constructor(parts: Parts, eventLog: EventLog, closers: AsyncDisposableStack) {
    this.index = parts.index;
    this.membership = parts.membership;
    this.ingest = parts.ingest;
    this.metrics = parts.metrics;
    this.eventLog = eventLog;
    this.#closers = closers;
  }

  /**
   * When this resolves, the index holds what the workers hold, or as much as came within `readyDeadlineS`.
   *
   * @throws AppError `deadline_exceeded` when discovery or NATS do not answer; the signal's reason when told to stop
   */
  static async open(options: KvIndexerOptions, { runtime, log, signal, metrics: registry }: KvIndexerDeps): Promise<KvIndexer> {
    const { where } = options;
    await using opened = new AsyncDisposableStack();
    let writer: SnapshotWriter | undefined;
    const metrics = indexerMetrics(registry);
    const snapshots = await openSnapshots(options, runtime, log);
    const restored = await loadSnapshot(snapshots, where, options, { metrics, log });
    const nats = await runtime.nats();
    const parts = createParts(options, { runtime, nats, metrics, log, index: restored.index });
    const { index, membership, ingest } = parts;
    opened.defer(() => membership.close());
    opened.defer(() => ingest.close());
    const { positions } = restored;
    const eventLog = opened.use(await openEventLog(options, { nats, runtime, membership, ingest, metrics, positions, log }));
    const listed = Promise.all([membership.ready(), eventLog.ready]);
    await withDeadline(listed, options.connectDeadlineS * 1000, "listing the workers", signal);
    indexerGauges(registry, {
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
    await readStored(options, ingest, eventLog, log);
    writer =
      snapshots &&
      opened.use(
        new SnapshotWriter(
          { ...where, snapshotIntervalS: options.snapshots!.snapshotIntervalS },
          { index, ingest, eventLog, store: snapshots, metrics, log },
        ),
      );
    return new KvIndexer(parts, eventLog, opened.move());
  }

  /** Blocks that each rank holds from the first one on; undefined when nobody serves the model. */
  findMatches(modelName: string, blockHashes: BigUint64Array): OverlapScores | undefined {
    const workers = this.membership.workersOf(modelName);
    // a worker of another model may hold the same tokens: its blocks are of no use
    return workers && this.index.findMatches(blockHashes).filter(({ worker }) => workers.has(worker.workerId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closers.disposeAsync();
  }
}

interface Parts {
  readonly index: RadixTree;
  readonly membership: Membership;
  readonly ingest: Ingest;
  readonly metrics: IndexerMetrics;
}

type Nats = Awaited<ReturnType<Runtime["nats"]>>;
type GivenParts = Pick<Parts, "index" | "metrics"> & { readonly runtime: Runtime; readonly nats: Nats; readonly log: Logger };

function createParts(options: KvIndexerOptions, { runtime, nats, index, metrics, log }: GivenParts): Parts {
  const { where } = options;
  const membership: Membership = new Membership(
    runtime.discovery,
    where,
    {
      workerCame: (workerId) => ingest.workerCame(workerId),
      workerGone: (workerId) => ingest.workerGone(workerId),
      recoverable: (worker) => ingest.recoverable(worker),
    },
    log,
  );
  const recovery = new Recovery(
    { timeoutMs: options.recoveryTimeoutS * 1000, concurrency: options.recoveriesMax },
    {
      targetOf: (worker) => membership.recoveryTarget(worker),
      tellsLastEvent: ({ workerId }) => membership.dialectOf(workerId).recoveryTellsLastEvent,
      clientOf: ({ address }) => runtime.endpoint(address).client(),
      log,
    },
  );
  const ask = recovery.ask.bind(recovery);
  const replay = new StreamReplay({
    open: () => new JetStreamSource(nats, { stream: kvStreamName(where) }, log),
    eventIdsStartAt: ({ workerId }) => membership.dialectOf(workerId).eventIdsStartAt,
  });
  const ingest: Ingest = new Ingest({ index, workers: membership, ask, replay, metrics, clock: systemClock, log });
  return { index, membership, ingest, metrics };
}

/** undefined: none are wanted, or the server cannot keep them. */
async function openSnapshots(
  { snapshots, where, streamAgeMaxS }: KvIndexerOptions,
  runtime: Runtime,
  log: Logger,
): Promise<SnapshotStore | undefined> {
  if (snapshots === undefined || snapshots.snapshotIntervalS === 0) return undefined;
  try {
    return await SnapshotStore.open(await runtime.nats(), where, snapshotLimitsOf({ ...snapshots, streamAgeMaxS }));
  } catch (error) {
    log.warn("no snapshots of the index: a restart begins with the log and the workers", { error });
    return undefined;
  }
}

type LogParts = Pick<Parts, "membership" | "ingest" | "metrics"> & {
  readonly nats: Nats;
  readonly runtime: Runtime;
  readonly positions: readonly StreamPosition[];
  readonly log: Logger;
};

async function openEventLog(
  { where, ...config }: KvIndexerOptions,
  { nats, runtime, membership, ingest, metrics, positions, log }: LogParts,
): Promise<EventLog> {
  return await EventLog.open(
    { where, limits: () => streamLimitsOf(config, membership.poolBlocks), positions },
    {
      nats,
      discovery: runtime.discovery,
      doubtPublisher: (publisherId) => ingest.doubtPublisher(publisherId),
      malformed: () => metrics.undecodable(),
      log,
    },
  );
}

/** Lets the sources run; waits until what they stored is applied and the workers have told the rest, or for the deadline. */
async function readStored({ readyDeadlineS }: KvIndexerOptions, ingest: Ingest, eventLog: EventLog, log: Logger): Promise<void> {
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
    await withDeadline(settled(), readyDeadlineS * 1000, "reading what the workers hold");
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "deadline_exceeded") throw error;
    log.warn("using an index that is not complete yet", { deadline_s: readyDeadlineS, recovering: ingest.recovering });
  }
}
