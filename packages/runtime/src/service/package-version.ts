// The version that a service tells operators: that of its package.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** @param sourceFolder a package's `src` (`import.meta.dirname` of a file in it) */
export function packageVersion(sourceFolder: string): string {
  return (JSON.parse(readFileSync(join(sourceFolder, "..", "package.json"), "utf8")) as { version: string }).version;
}
