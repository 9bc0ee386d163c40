// trtllm-launcher: starts `dynamo.trtllm` workers, watches, restarts and drains them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runService } from "@mm-router/runtime";
import { launcherFields } from "./config.ts";
import { createLauncher } from "./service.ts";

export { chooseEngine } from "./engine-choice.ts";
export { pythonOf } from "./installed-release.ts";

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8")) as { version: string };

/** `mmr launcher`. @param argv arguments after the command's name; what stands behind `--` goes to the workers */
export function run(argv: readonly string[]): Promise<never> {
  return runService({
    name: "launcher",
    version,
    fields: launcherFields,
    takesPassThrough: true,
    argv,
    create: (config, deps) => createLauncher(config, { ...deps, environment: process.env }),
  });
}
