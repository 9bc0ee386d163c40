// Settings of the indexer: upstream's names where the meaning is upstream's, `MMR_…` where it is ours.
import { kvIndexerFields, snapshotFields } from "@mm-router/kv-indexer";
import { type ConfigOf, field, integer, port, runtimeFields } from "@mm-router/runtime";
import { z } from "zod";

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

  ...kvIndexerFields,
  ...snapshotFields,
};

export type IndexerConfig = ConfigOf<typeof indexerFields>;
