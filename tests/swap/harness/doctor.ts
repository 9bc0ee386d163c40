// `mmr doctor`, run as a user would.
import { execFile } from "node:child_process";
import { addressesOf, commandLine, type Place } from "@mm-router/testkit";

/** What it prints, whether something is wrong or not. */
export function runDoctor(place: Place, component: string, workers: string): Promise<string> {
  const args = [commandLine, "doctor", "--namespace", place.namespace];
  args.push("--component", component, "--downstream-component", workers);
  const env = { ...process.env, ...addressesOf(place) };
  return new Promise((resolve) =>
    execFile(process.execPath, args, { env, timeout: 30_000 }, (_error, stdout, stderr) => resolve(stdout + stderr)),
  );
}
