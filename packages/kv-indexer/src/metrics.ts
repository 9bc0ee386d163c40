// What this process counts. Requests and their durations as such are counted by the runtime (dynamo_component_*).
import type { LabelledValue, Metrics } from "@mm-router/runtime";
import type { ApplyOutcome, CacheSharing, IndexSize } from "@mm-router/kv";
import type { WorkerKey } from "@mm-router/protocol";
import type { RankStatus } from "./ingest.ts";

/**
 * What became of an event. `foreign`: of no live worker. `early_overflow`: of one that is not registered yet, and too many of them wait.
 * `recovery_overflow`: too many came while a recovery ran; the gap is found afterwards.
 */
export type EventOutcome = ApplyOutcome | "duplicate" | "foreign" | "early_overflow" | "recovery_overflow" | "other_tier";

/** Why a rank's blocks were dropped or asked for again. */
export type RecoveryReason = "unknown_past" | "gap" | "maybe_lost" | "new_publisher";
export type RecoveryOutcome = "events" | "dump" | "nothing_new" | "no_target" | "failed";

/** `ignored`: there was one, and it was torn, damaged or of another form. */
export type SnapshotOutcome = "written" | "failed" | "restored" | "ignored";

export interface IndexerMetrics {
  event(outcome: EventOutcome, count?: number): void;
  undecodable(): void;
  recovery(reason: RecoveryReason, outcome: RecoveryOutcome): void;
  snapshot(outcome: SnapshotOutcome): void;
  query(outcome: "scores" | "unknown_model" | "malformed", seconds: number): void;
}

/** Asked whenever the metrics are read, on whatever port. */
export interface IndexerState {
  readonly size: () => IndexSize;
  readonly sharing: () => CacheSharing;
  readonly workers: () => number;
  /** Ranks whose recovery runs. */
  readonly recovering: () => number;
  /** Seconds since the last event of any worker; undefined before the first. */
  readonly silentSeconds: () => number | undefined;
  /** Stored messages that are not in the index yet. */
  readonly lag: () => number;
  readonly ranks: () => readonly RankStatus[];
  /** Seconds since this process wrote its last snapshot; undefined before the first. */
  readonly snapshotAgeSeconds: () => number | undefined;
  /** Publishers that are heard over ZMQ. */
  readonly bridged: () => number;
}

const queryBuckets = [0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1];

export function indexerMetrics(metrics: Metrics): IndexerMetrics {
  const events = metrics.counter("mm_router_indexer_events_total", "KV events by what became of them", ["outcome"]);
  const undecodable = metrics.counter("mm_router_indexer_undecodable_messages_total", "Messages that are no KV events; look at the log");
  const recoveries = metrics.counter("mm_router_indexer_recoveries_total", "Questions to workers about their blocks", [
    "reason",
    "outcome",
  ]);
  const snapshots = metrics.counter("mm_router_indexer_snapshots_total", "Snapshots of the index by what became of them", ["outcome"]);
  const queries = metrics.counter("mm_router_indexer_queries_total", "Index queries by answer", ["outcome"]);
  const duration = metrics.histogram("mm_router_indexer_query_seconds", "Decoding, look-up and encoding of one query", queryBuckets);
  return {
    event: (outcome, count = 1) => events.inc({ outcome }, count),
    undecodable: () => undecodable.inc(),
    recovery: (reason, outcome) => recoveries.inc({ reason, outcome }),
    snapshot: (outcome) => snapshots.inc({ outcome }),
    query(outcome, seconds) {
      queries.inc({ outcome });
      duration.observe(seconds);
    },
  };
}

export function indexerGauges(metrics: Metrics, state: IndexerState): void {
  metrics.askedGauge("mm_router_indexer_blocks", "Blocks in the index, one per rank that holds it", () => state.size().entries);
  metrics.askedGauge("mm_router_indexer_ranks", "Ranks that hold blocks", () => state.size().ranks);
  metrics.askedGauge("mm_router_indexer_workers", "Live workers", state.workers);
  metrics.askedGauge("mm_router_indexer_recovering_ranks", "Ranks whose blocks are being asked for", state.recovering);
  metrics.askedGauge(
    "mm_router_indexer_snapshot_age_seconds",
    "Since this process wrote a snapshot of the index",
    state.snapshotAgeSeconds,
  );
  metrics.askedGauge("mm_router_indexer_bridged_publishers", "Publishers that are heard over ZMQ", state.bridged);
  metrics.askedGauge(
    "mm_router_indexer_silence_seconds",
    "Since the last KV event of any worker; grows for ever when events are off",
    state.silentSeconds,
  );
  metrics.askedGauge("mm_router_indexer_log_lag_messages", "Stored messages that are not in the index yet", state.lag);
  metrics.askedGauges("mm_router_indexer_rank_blocks", "Blocks that a rank holds", rankLabels, () =>
    state.ranks().map(({ worker, blocks }) => ({ labels: labelsOf(worker), value: blocks })),
  );
  metrics.askedGauges(
    "mm_router_indexer_rank_shared_blocks",
    "Of the blocks that a rank holds: those that another one holds, too",
    rankLabels,
    () => {
      const { sharedBy } = state.sharing();
      return state.ranks().map(({ worker }) => ({ labels: labelsOf(worker), value: sharedBy(worker) }));
    },
  );
  metrics.askedGauges(
    "mm_router_indexer_blocks_by_holders",
    `Different blocks by the number of ranks that hold them; the last: ${holdersMax} or more`,
    ["holders"],
    () => holderCounts(state.sharing()),
  );
  metrics.askedGauges(
    "mm_router_indexer_rank_silence_seconds",
    "Since the last KV event of a rank; an idle worker is silent, too",
    rankLabels,
    () => state.ranks().flatMap(silenceOf),
  );
}

const rankLabels = ["worker_id", "dp_rank"] as const;
type RankLabel = (typeof rankLabels)[number];

function silenceOf({ worker, silentSeconds }: RankStatus): LabelledValue<RankLabel>[] {
  return silentSeconds === undefined ? [] : [{ labels: labelsOf(worker), value: silentSeconds }];
}

const holdersMax = 4;

function holderCounts({ byHolders }: CacheSharing): LabelledValue<"holders">[] {
  const counts = Array.from({ length: holdersMax }, (_, n) => byHolders[n] ?? 0);
  for (const blocks of byHolders.slice(holdersMax)) counts[holdersMax - 1]! += blocks;
  return counts.map((value, n) => ({ labels: { holders: `${n + 1}` }, value }));
}

function labelsOf({ workerId, dpRank }: WorkerKey): Record<RankLabel, string> {
  return { worker_id: `${workerId}`, dp_rank: `${dpRank}` };
}
