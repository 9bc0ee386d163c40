// Names what is wrong before a worker spends minutes loading a model to find out.
//
// I1  Every finding is one sentence with what to do. `error` stops the start, `warning` is said and the start goes on.
import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { InstalledRelease } from "./installed-release.ts";
import { valueOf } from "./worker-command.ts";

export interface Finding {
  readonly severity: "error" | "warning";
  readonly sentence: string;
}

/** Memory of one GPU, in MiB as nvidia-smi reports it. */
export interface GpuMemory {
  readonly gpuId: string;
  readonly totalMib: number;
  readonly freeMib: number;
}

export interface PreflightInput {
  readonly release: InstalledRelease;
  readonly passThrough: readonly string[];
  /** Memory of the GPUs in the plan; empty when nvidia-smi is not there. */
  readonly gpus: readonly GpuMemory[];
  /** Workers per GPU group. */
  readonly sharing: number;
  /** Size of the weights in bytes, when the model is a local folder. */
  readonly weightsBytes?: number;
  /** GPUs of one worker. */
  readonly groupSize: number;
}

/** The engine reports which image a block holds (`mm_keys`) from this version on: [major, minor, patch, rc]. */
const imageKeysSince = [1, 2, 0, 6] as const;
/** Weights, activations and CUDA graphs need more than the file size; below this the engine fails while loading. */
const loadOverhead = 1.2;

/** Everything that can be known about a start that will fail. Pure. */
export function preflight(input: PreflightInput): readonly Finding[] {
  return [
    engineFinding(input.release),
    modalityFinding(input.passThrough),
    publishFinding(input.passThrough),
    ...memoryFindings(input),
  ].filter((finding) => finding !== undefined);
}

function engineFinding({ engine }: InstalledRelease): Finding | undefined {
  if (engine === undefined) return undefined;
  const version = /^(\d+)\.(\d+)\.(\d+)(?:rc(\d+))?/.exec(engine);
  if (version === null) return undefined;
  const [major = 0, minor = 0, patch = 0, rc = Number.POSITIVE_INFINITY] = version
    .slice(1)
    .map((part) => (part === undefined ? undefined : Number(part)));
  if (isAtLeast([major, minor, patch, rc], imageKeysSince)) return undefined;
  return {
    severity: "warning",
    sentence: `TensorRT-LLM ${engine} does not tell which image a KV block holds (1.2.0rc6 and newer do): image requests are routed by the text before the first image; install a newer engine`,
  };
}

function isAtLeast(version: readonly number[], since: readonly number[]): boolean {
  const differing = version.findIndex((part, at) => part !== since[at]);
  return differing < 0 || version[differing]! > since[differing]!;
}

function modalityFinding(passThrough: readonly string[]): Finding | undefined {
  const modality = valueOf(passThrough, "--modality");
  if (modality === undefined || modality === "multimodal") return undefined;
  return {
    severity: "error",
    sentence: `--modality ${modality} makes workers that refuse or ignore images: leave it out, or pass --modality multimodal`,
  };
}

function publishFinding(passThrough: readonly string[]): Finding | undefined {
  const off = passThrough.find((argument) => argument === "--no-publish-kv-events" || argument === "--no-publish-events-and-metrics");
  if (off === undefined) return undefined;
  return {
    severity: "error",
    sentence: `${off} keeps the workers' KV events back, and no request could be sent where its prefix is cached: leave it out`,
  };
}

function memoryFindings({ gpus, sharing, weightsBytes, groupSize }: PreflightInput): Finding[] {
  if (weightsBytes === undefined) return [];
  const neededMib = Math.ceil((weightsBytes * loadOverhead * sharing) / groupSize / 2 ** 20);
  return gpus
    .filter(({ freeMib }) => freeMib < neededMib)
    .map(({ gpuId, freeMib, totalMib }) => ({
      severity: "error" as const,
      sentence: `GPU ${gpuId} has ${freeMib} of ${totalMib} MiB free, and the model needs about ${neededMib} MiB on it${sharing > 1 ? ` for ${sharing} workers` : ""}: end what else runs there, use fewer workers per GPU, or a smaller model`,
    }));
}

/** Sum of the weight files in a model folder, in bytes; undefined when the folder has none (a hub id, a simulated model). */
export async function weightsBytesOf(modelFolder: string): Promise<number | undefined> {
  const names = await readdir(modelFolder).catch(() => []);
  const weights = names.filter((name) => name.endsWith(".safetensors") || /^pytorch_model.*\.bin$/.test(name));
  if (weights.length === 0) return undefined;
  return weights.reduce((sum, name) => sum + statSync(join(modelFolder, name)).size, 0);
}

/** Reads `nvidia-smi --query-gpu=index,memory.total,memory.free --format=csv,noheader,nounits`. */
export function readGpuMemory(csv: string): readonly GpuMemory[] {
  return csv
    .trim()
    .split("\n")
    .map((line) => line.split(",").map((cell) => cell.trim()))
    .filter((cells) => cells.length === 3)
    .map(([gpuId = "", total, free]) => ({ gpuId, totalMib: Number(total), freeMib: Number(free) }));
}
