// The indexer: knows which worker holds which KV block, and answers routers, ours and Dynamo's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson } from "@mm-router/protocol";
import { runService } from "@mm-router/runtime";
import { indexerFields } from "./config.ts";
import { createIndexer } from "./service.ts";

const { version } = parseJson(readFileSync(join(import.meta.dirname, "..", "package.json"))) as { version: string };

/** `mmr indexer`. @param argv arguments after the command's name */
export function run(argv: readonly string[]): Promise<never> {
  return runService({ name: "indexer", version, argv, fields: indexerFields, create: createIndexer });
}
