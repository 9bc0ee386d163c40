export { kvIndexerFields, snapshotFields } from "./config.ts";
export type { RankStatus } from "./ingest.ts";
export { KvIndexer } from "./kv-indexer.ts";
export type { IndexerMetrics } from "./metrics.ts";
export { decodeSnapshot, encodeSnapshotFrame } from "./snapshot/snapshot-form.ts";
export { type AskedIndex, indexField, openIndex, type OpenIndexDeps, type OpenIndexOptions } from "./open-index.ts";
