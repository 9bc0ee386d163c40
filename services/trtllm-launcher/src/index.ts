// trtllm-launcher: starts `dynamo.trtllm` workers, watches, restarts and drains them.
import { packageVersion, runService } from "@mm-router/runtime";
import { launcherFields } from "./config.ts";
import { createLauncher } from "./service.ts";

export { chooseEngine } from "./engine-choice.ts";
export { pythonOf } from "./installed-release.ts";

/** `mmr launcher`. @param argv arguments after the command's name; what stands behind `--` goes to the workers */
export function run(argv: readonly string[]): Promise<never> {
  return runService({
    name: "launcher",
    version: packageVersion(import.meta.dirname),
    fields: launcherFields,
    takesPassThrough: true,
    argv,
    create: (config, deps) => createLauncher(config, { ...deps, environment: process.env }),
  });
}
