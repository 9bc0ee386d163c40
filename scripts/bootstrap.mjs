// Finds or installs what everything else runs on: Node 24 (an optional dependency) and the workspace's packages.
// Plain JavaScript for Node >= 18: this file and its importers are the only ones that run before Node 24 is there.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
export const node = join(root, "node_modules/.bin/node");
const pnpm = "pnpm@12.21.0";

const read = (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : "");

/** Runs a command in the project's root with its `.bin` first in PATH; returns the exit code. */
export function run(command, args, options = {}) {
  const env = { ...process.env, PATH: `${root}/node_modules/.bin:${process.env.PATH}` };
  const child = spawnSync(command, args, { cwd: root, stdio: "inherit", env, ...options });
  if (child.error) {
    if (child.error.code === "ENOENT") {
      console.error(`mm-router: '${command}' was not found. Install Node.js 20 or newer together with npm, then run this again.`);
      return 3;
    }
    throw child.error;
  }
  return child.status ?? 1;
}

/** Installs the workspace when node_modules is missing or older than the lock file, and bundles what ./mmr starts. Exits on failure. */
export function ensureInstalled({ quiet = false } = {}) {
  if (existsSync(node) && read("node_modules/.pnpm/lock.yaml") === read("pnpm-lock.yaml")) return;
  console.error("mm-router: installing dependencies (once)…");
  const status = run("npx", ["-y", pnpm, "install", "--frozen-lockfile", ...(quiet ? ["--silent"] : [])], {
    stdio: quiet ? ["ignore", "ignore", "inherit"] : "inherit",
  });
  if (status !== 0) {
    console.error("mm-router: the dependencies could not be installed. Check that the npm registry is reachable, then run this again.");
    process.exit(status);
  }
  if (bundle() !== 0) console.error("mm-router: the bundle could not be made; ./mmr runs the sources, which takes longer to start.");
}

/** Puts the sources into dist/ (packages/cli/src/bundle.ts); returns the exit code. */
export function bundle() {
  return run(node, ["packages/cli/src/bundle.ts"]);
}
