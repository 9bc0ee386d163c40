// From a model's name to a folder with its config and tokenizer files; weights are never asked for.
//
//   local folder ── no such folder ──▶ Hugging Face cache ── not there ──▶ hub ──▶ into the cache
//                                                              └ HF_HUB_OFFLINE: refused with a sentence
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AppError } from "@mm-router/protocol";
import type { Environment } from "../service/config.ts";
import type { Logger } from "../service/log.ts";
import { HubCacheEntry } from "./hub-cache.ts";
import { type HubOptions, hubOptionsOf } from "./model-fields.ts";

export interface ModelFolder {
  /** Absolute. */
  readonly path: string;
  readonly source: "folder" | "cache" | "hub";
}

export interface ResolveModelOptions {
  /** `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`, and the proxy variables. */
  readonly environment: Environment;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
}

/** Any of these makes a tokenizer. */
const tokenizerFiles = ["tokenizer.json", "tokenizer.model", "tiktoken.model", "vocab.json"];
/** Linked last, so that a snapshot that has it has all. */
const lastFile = "config.json";

/**
 * Finds the folder of a model.
 *
 * @param nameOrPath folder, or hub id `owner/name`
 * @throws AppError `configuration` (no such model, folder without config or tokenizer), `dependency_unreachable` (hub out of reach
 *   or not to be asked)
 */
export async function resolveModel(nameOrPath: string, options: ResolveModelOptions): Promise<ModelFolder> {
  if (await isFolder(nameOrPath)) return await localFolder(resolve(nameOrPath));
  if (!isHubId(nameOrPath)) throw new AppError("configuration", `there is no model folder ${nameOrPath}`);
  const hub = hubOptionsOf(options.environment);
  const entry = new HubCacheEntry(hub.cacheFolder, nameOrPath);
  const cached = await entry.snapshot();
  if (cached !== undefined && (await missingIn(cached)) === undefined) return { path: cached, source: "cache" };
  if (hub.offline) throw new AppError("dependency_unreachable", offlineSentence(nameOrPath, hub));
  return { path: await download(nameOrPath, entry, hub, options), source: "hub" };
}

async function localFolder(path: string): Promise<ModelFolder> {
  const missing = await missingIn(path);
  if (missing !== undefined) throw new AppError("configuration", `the model folder ${path} has no ${missing}`);
  return { path, source: "folder" };
}

async function download(id: string, entry: HubCacheEntry, options: HubOptions, context: ResolveModelOptions): Promise<string> {
  const { HubClient } = await import("./hub-client.ts"); // its HTTP client would be a tenth of every start
  const hub = new HubClient(options, context.environment, context.signal);
  try {
    const { commit, names } = await hub.list(id);
    const wanted = names.filter(isWanted).toSorted((a, b) => Number(a === lastFile) - Number(b === lastFile));
    context.log?.info("downloading model files", { model: id, hub: options.endpoint, commit, files: wanted.length });
    for (const name of wanted) {
      const { etag, bytes } = await hub.file(id, commit, name);
      await entry.add(commit, name, etag, bytes);
    }
    const path = entry.snapshotOf(commit);
    const missing = await missingIn(path);
    if (missing !== undefined) throw new AppError("configuration", `the hub's model ${id} has no ${missing}`);
    await entry.settle(commit);
    return path;
  } finally {
    await hub.close();
  }
}

/** Config, tokenizer, chat template: top-level text files. Weights and their index are not wanted. */
function isWanted(name: string): boolean {
  return /^[\w.-]+\.(json|jinja|model|tiktoken|txt)$/.test(name) && !name.endsWith(".index.json");
}

function isHubId(name: string): boolean {
  return /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name) && !name.includes("..") && !name.includes("--");
}

/** What a usable folder lacks, in words; undefined when nothing. */
async function missingIn(folder: string): Promise<string | undefined> {
  if (!(await isFile(join(folder, "config.json")))) return "config.json";
  for (const name of tokenizerFiles) if (await isFile(join(folder, name))) return undefined;
  return "tokenizer.json";
}

function offlineSentence(id: string, { cacheFolder }: HubOptions): string {
  return `model ${id} is neither a folder nor in ${cacheFolder}, and HF_HUB_OFFLINE forbids asking the hub`;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true; // unreadable is as good as missing
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}
