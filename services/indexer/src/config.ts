// Settings of the indexer: upstream's names where the meaning is upstream's, `MMR_…` where it is ours.
import { type ConfigOf, decimal, field, integer, port, runtimeFields } from "@mm-router/runtime";
import { z } from "zod";

const MiB = 1024 * 1024;

export const indexerFields = {
  ...runtimeFields,
  namespace: field(z.string().min(1).default("default"), { flag: "namespace", env: "DYN_NAMESPACE", help: "namespace of the workers" }),
  component: field(z.string().min(1).default("trtllm"), {
    flag: "component",
    env: "MMR_WORKER_COMPONENT",
    help: "component of the workers: what they publish is indexed, and the index is served under it (workers ≥ 1.4 say backend)",
  }),
  endpoint: field(z.string().min(1).default("kv_indexer_query"), {
    flag: "endpoint",
    env: "MMR_INDEXER_ENDPOINT",
    help: "endpoint of the index; real routers ask kv_indexer_query",
  }),
  blockSize: field(integer(1).optional(), {
    flag: "block-size",
    env: "MMR_BLOCK_SIZE",
    unit: "tokens",
    help: "block size told by /dump and /workers (default: what the workers' cards say)",
  }),
  httpHost: field(z.string().default("0.0.0.0"), {
    flag: "http-host",
    env: "MMR_INDEXER_HTTP_HOST",
    help: "address that HTTP is served on",
  }),
  httpPort: field(port.default(8090), {
    flag: "http-port",
    env: "MMR_INDEXER_HTTP_PORT",
    help: "port of /health, /metrics, /dump and /workers (0: any free one)",
  }),

  entriesMax: field(integer(1).default(2 ** 26), {
    env: "MMR_INDEX_ENTRIES_MAX",
    unit: "blocks per rank, summed",
    help: "largest index, about 40 bytes each; what would exceed it is not indexed, and counted",
  }),
  streamMbMax: field(integer(1).default(256), {
    env: "MMR_EVENT_STREAM_MB_MAX",
    unit: "MiB",
    help: "size of our log of the workers' events in JetStream, about 57 bytes a text block; a log that is there keeps its limits",
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
    help: "how long the start waits for the log and the workers' answers; then the index is served as far as it is",
  }),
};

export type IndexerConfig = ConfigOf<typeof indexerFields>;

export const streamLimitsOf = (config: Pick<IndexerConfig, "streamMbMax" | "streamAgeMaxS">) => ({
  bytesMax: config.streamMbMax * MiB,
  ageMaxS: config.streamAgeMaxS,
});
