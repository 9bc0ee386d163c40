// Reads golden files: what real processes said, gzipped beside this package (golden/README.md).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parseJson } from "@mm-router/protocol";

const folder = join(import.meta.dirname, "..", "golden");

/** Text of a golden JSON file, e.g. `wire/discovery.json`. Throws when there is none. */
export function goldenText(name: string): string {
  return gunzipSync(readFileSync(join(folder, `${name}.gz`))).toString("utf8");
}

/** A golden JSON file; integers beyond 2^53 are bigint. The caller states the shape it expects. */
export function golden<T = any>(name: string): T {
  return parseJson(goldenText(name)) as T;
}

/** Absolute path of a file stored as it is (images, trace generator). */
export function goldenPath(name: string): string {
  return join(folder, name);
}
