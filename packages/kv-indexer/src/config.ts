// Settings of an index that follows workers, whatever process it is in.
import { type CaptureLimits, type ConfigOf, decimal, field, integer, type SnapshotLimits } from "@mm-router/runtime";

const MiB = 1024 * 1024;

export const kvIndexerFields = {
  entriesMax: field(integer(1).default(2 ** 26), {
    env: "MMR_INDEX_ENTRIES_MAX",
    unit: "blocks per rank, summed",
    help: "largest index, about 40 bytes each; what would exceed it is not indexed, and counted",
  }),
  streamMbMax: field(integer(1).default(256), {
    env: "MMR_EVENT_STREAM_MB_MAX",
    unit: "MiB",
    help: "least size of our log of the workers' events in JetStream, about 57 bytes a text block; it grows with the caches that cards tell (≥ 1.4)",
  }),
  streamAgeMaxS: field(integer(1).default(3600), {
    env: "DYN_NATS_STREAM_MAX_AGE",
    unit: "seconds",
    help: "age of the oldest event in that log; what is older comes from the workers' own index",
  }),
  recoveryTimeoutS: field(decimal(0.1).default(3), {
    env: "MMR_RECOVERY_TIMEOUT_SECS",
    unit: "seconds",
    help: "limit for a worker's answer about its blocks; a worker never answers what it cannot read",
  }),
  recoveriesMax: field(integer(1).default(8), { env: "MMR_RECOVERIES_MAX", help: "workers asked about their blocks at the same time" }),
  readyDeadlineS: field(decimal(0).default(20), {
    env: "MMR_INDEXER_READY_DEADLINE_SECS",
    unit: "seconds",
    help: "how long the start waits for the log and the workers' answers; then the index is used as far as it is",
  }),
};

export const snapshotFields = {
  snapshotIntervalS: field(decimal(0).default(60), {
    env: "MMR_SNAPSHOT_INTERVAL_SECS",
    unit: "seconds",
    help: "between two snapshots of the index in JetStream's object store, which a restart begins with (0: none are written or read)",
  }),
  snapshotMbMax: field(integer(1).default(128), {
    env: "MMR_SNAPSHOT_MB_MAX",
    unit: "MiB",
    help: "largest snapshot, 16 bytes per block and rank; the store takes three times that",
  }),
};

export type KvIndexerConfig = ConfigOf<typeof kvIndexerFields>;
export type SnapshotConfig = ConfigOf<typeof snapshotFields>;

/** Stored 57, removed 9, and its share of an envelope and a subject. */
const logBytesPerBlock = 128;
/** How often the workers may turn over their caches before the log forgets. */
const turnovers = 4;
const logBytesMost = 4096 * MiB;

/** @param poolBlocks what the workers' caches hold together, as far as their cards say */
export function streamLimitsOf(config: Pick<KvIndexerConfig, "streamMbMax" | "streamAgeMaxS">, poolBlocks: number): CaptureLimits {
  const wanted = Math.min(poolBlocks * turnovers * logBytesPerBlock, logBytesMost);
  return { bytesMax: Math.max(config.streamMbMax * MiB, wanted), ageMaxS: config.streamAgeMaxS };
}

export function snapshotLimitsOf(config: Pick<SnapshotConfig & KvIndexerConfig, "snapshotMbMax" | "streamAgeMaxS">): SnapshotLimits {
  return { bytesMax: config.snapshotMbMax * MiB, ageMaxS: config.streamAgeMaxS };
}
