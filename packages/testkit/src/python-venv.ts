// A Python environment of packages from PyPI, in a folder under .cache.
//
//   python3 -m venv FOLDER.<pid> ─► pip install, step by step ─► import check ─► `ok` ─► renamed to FOLDER
//
// I1  A folder with an `ok` file is complete (a killed install must not look finished).
// I2  At most two installs run at once in a process: they are bound by the CPU (40 s each on 2 cores).
import { execFile } from "node:child_process";
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { Missing } from "./missing.ts";
import { projectRoot } from "./project-root.ts";

const run = promisify(execFile);
const installTimeoutMs = 900_000;
const installsAtOnce = 2;

export interface VenvRecipe {
  /** As it is said: "Dynamo 1.6.1". */
  readonly name: string;
  readonly folder: string;
  /** Command that makes the environment. Default `python3`. */
  readonly interpreter?: string;
  /** What the install costs, as it is said. Default "about a minute". */
  readonly cost?: string;
  /** Arguments of `pip install`, one call after the other. */
  readonly steps: readonly (readonly string[])[];
  /** Python that imports what must be there. */
  readonly check: string;
}

const running = new Map<string, Promise<void>>();
const waiting: (() => void)[] = [];
let installs = 0;

/**
 * Path of the environment's Python, installed on first use.
 *
 * @param say told in one line what is being installed
 * @throws Missing with the remedy when it cannot be installed
 */
export async function ensureVenv(recipe: VenvRecipe, say: (line: string) => void): Promise<string> {
  const { folder } = recipe;
  if (!existsSync(join(folder, "ok"))) {
    const installing = running.get(folder) ?? inTurn(() => install(recipe, say));
    running.set(folder, installing);
    await installing;
  }
  return join(folder, "bin", "python");
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (installs === installsAtOnce) await new Promise<void>((resolve) => waiting.push(resolve));
  else installs++;
  try {
    return await work();
  } finally {
    const next = waiting.shift(); // the place is handed on, so the count stays
    if (next === undefined) installs--;
    else next();
  }
}

async function install(recipe: VenvRecipe, say: (line: string) => void): Promise<void> {
  const { name, folder, steps, check, interpreter = "python3", cost = "about a minute" } = recipe;
  const temporary = `${folder}.${process.pid}`;
  const python = join(temporary, "bin", "python");
  removeAbandoned(folder);
  say(`installing ${name} into ${relative(projectRoot, folder)} (once; ${cost})`);
  const startedAt = Date.now();
  try {
    await mkdir(join(folder, ".."), { recursive: true });
    await run(interpreter, ["-m", "venv", temporary], { timeout: installTimeoutMs });
    for (const step of steps) await run(python, ["-m", "pip", "install", "-q", ...step], { timeout: installTimeoutMs });
    await run(python, ["-c", check], { timeout: installTimeoutMs });
    writeFileSync(join(temporary, "ok"), `${name}\n`);
    if (existsSync(join(folder, "ok"))) return; // another process was faster
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
    say(`${name} installed in ${Math.round((Date.now() - startedAt) / 1000)} s`);
  } catch (error) {
    throw new Missing(`${name} could not be installed: ${reasonOf(error)}`, remedyOf(error), error);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Removes what killed installs left behind. */
function removeAbandoned(folder: string): void {
  const parent = join(folder, "..");
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    const pid = path.startsWith(`${folder}.`) ? Number(path.slice(folder.length + 1)) : Number.NaN;
    if (Number.isInteger(pid) && !existsSync(`/proc/${pid}`)) rmSync(path, { recursive: true, force: true });
  }
}

function reasonOf(error: unknown): string {
  const { code, path, stderr = "" } = error as { code?: unknown; path?: string; stderr?: string };
  if (code === "ENOENT") return `${path} is missing`;
  const last = stderr
    .split("\n")
    .filter((line) => /error/i.test(line))
    .at(-1);
  return last?.trim() ?? String(error).split("\n")[0] ?? "";
}

function remedyOf(error: unknown): string {
  const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
  if (/ensurepip is not available|No module named venv/.test(stdout + stderr)) return "apt install python3-venv";
  return "Python >= 3.10 with venv and a reachable Python package registry";
}
