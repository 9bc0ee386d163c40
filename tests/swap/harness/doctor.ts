// `mmr doctor`, run as a user would.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { addressesOf, type Place, projectRoot } from "@mm-router/testkit";

/** What it prints, whether something is wrong or not. */
export function runDoctor(place: Place, component: string, workers: string): Promise<string> {
  const args = [join(projectRoot, "packages/cli/src/main.ts"), "doctor", "--namespace", place.namespace];
  args.push("--component", component, "--downstream-component", workers);
  const env = { ...process.env, ...addressesOf(place) };
  return new Promise((resolve) =>
    execFile(process.execPath, args, { env, timeout: 30_000 }, (_error, stdout, stderr) => resolve(stdout + stderr)),
  );
}
