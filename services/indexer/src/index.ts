export { run } from "./main.ts";
export { type IndexerConfig, indexerFields } from "./config.ts";
export { createIndexer, type Indexer } from "./service.ts";
