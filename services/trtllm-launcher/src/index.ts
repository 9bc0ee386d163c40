// trtllm-launcher: starts `dynamo.trtllm` workers, watches, restarts and drains them.
import { runService, splitPassThrough } from "@mm-router/runtime";
import { launcherFields } from "./config.ts";
import { createLauncher } from "./service.ts";

export { chooseEngine } from "./engine-choice.ts";
export { pythonOf } from "./installed-release.ts";

/** Runs the launcher until a signal; resolves to the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const { own, passThrough } = splitPassThrough(argv);
  return await runService({
    name: "trtllm-launcher",
    usage: "mmr launcher [flags] [-- flags of python -m dynamo.trtllm]",
    argv: own,
    fields: launcherFields,
    create: (config, deps) => createLauncher(config, { ...deps, environment: process.env, passThrough }),
  });
}
