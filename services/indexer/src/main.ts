// The indexer: knows which worker holds which KV block, and answers routers, ours and Dynamo's.
import { packageVersion, runService } from "@mm-router/runtime";
import { indexerFields } from "./config.ts";
import { createIndexer } from "./service.ts";

/** `mmr indexer`. @param argv arguments after the command's name */
export function run(argv: readonly string[]): Promise<never> {
  return runService({ name: "indexer", version: packageVersion(import.meta.dirname), argv, fields: indexerFields, create: createIndexer });
}
