// Real workers or the stand-in: decided once, said loudly.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { AppError } from "@mm-router/protocol";
import { type InstalledRelease, installedRelease } from "./installed-release.ts";
import { type GpuMemory, readGpuMemory } from "./preflight.ts";

const run = promisify(execFile);

export type EngineChoice =
  | { readonly engine: "trtllm"; readonly release: InstalledRelease; readonly gpus: readonly GpuMemory[] }
  | { readonly engine: "simulated"; readonly reason: string };

/**
 * What `--engine` means on this machine.
 *
 * @throws AppError `configuration` when `trtllm` was asked for and cannot run
 */
export async function chooseEngine(
  asked: "auto" | "trtllm" | "simulated",
  python: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<EngineChoice> {
  if (asked === "simulated") return { engine: "simulated", reason: "ENGINE=simulated" };
  const gpus = await visibleGpus(environment);
  if (asked === "trtllm") return { engine: "trtllm", release: await installedRelease(python, environment), gpus };
  if (gpus.length === 0) return { engine: "simulated", reason: "no GPU was found by nvidia-smi" };
  try {
    return { engine: "trtllm", release: await installedRelease(python, environment), gpus };
  } catch (error) {
    if (error instanceof AppError) return { engine: "simulated", reason: error.message };
    throw error;
  }
}

/** GPUs of this machine with their memory; none where nvidia-smi is missing or fails. */
async function visibleGpus(environment: Readonly<Record<string, string | undefined>>): Promise<readonly GpuMemory[]> {
  const args = ["--query-gpu=index,memory.total,memory.free", "--format=csv,noheader,nounits"];
  try {
    const { stdout } = await run("nvidia-smi", args, { env: { ...environment }, timeout: 20_000 });
    return readGpuMemory(stdout);
  } catch {
    return []; // no driver, no GPU
  }
}
