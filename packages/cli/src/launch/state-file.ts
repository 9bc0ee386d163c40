// Where `launch.sh status` and `launch.sh down` find the stack that runs: .cache/run/launch.json.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface LaunchState {
  readonly pid: number;
  readonly url: string;
  /** Of what runs. */
  readonly pageUrl: string;
  readonly model: string;
  readonly engine: string;
  readonly natsUrl: string;
  readonly etcdUrl: string;
  readonly namespace: string;
  readonly logDirectory: string;
}

const fileOf = (root: string): string => join(root, ".cache", "run", "launch.json");

export function writeState(root: string, state: LaunchState): void {
  mkdirSync(dirname(fileOf(root)), { recursive: true });
  writeFileSync(fileOf(root), `${JSON.stringify(state, null, 2)}\n`);
}

/** Forgets the stack that this process wrote down; another's stays. */
export function removeState(root: string): void {
  if (readState(root)?.pid === process.pid) rmSync(fileOf(root), { force: true });
}

/** The running stack, or undefined when none runs (a file left by a killed one counts as none). */
export function readState(root: string): LaunchState | undefined {
  try {
    const state = JSON.parse(readFileSync(fileOf(root), "utf8")) as LaunchState;
    process.kill(state.pid, 0);
    return state;
  } catch {
    return undefined; // no file, a broken one, or its process is gone
  }
}
