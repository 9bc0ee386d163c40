export * from "./indexer-client.ts";
