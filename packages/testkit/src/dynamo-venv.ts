// A Python environment with one release of Dynamo, in .cache/dynamo/<release>.
//
//   python3 -m venv 1.6.1.<pid> ─► the two wheels, --no-deps ─► what they import ─► import check ─► `ok` ─► renamed to 1.6.1
//
// `--no-deps` leaves out the engines and CUDA: frontend and mocker need none, and `dynamo.trtllm` runs on the stand-in.
// pip then prints "dependency conflicts" and exits 0; the import check is what counts.
// I1  A folder with an `ok` file is complete (a killed install must not look finished).
// I2  At most two installs run at once in a process: they are bound by the CPU (40 s each on 2 cores).
import { execFile } from "node:child_process";
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Release } from "./dynamo-release.ts";
import { Missing } from "./missing.ts";
import { projectRoot } from "./project-root.ts";

const run = promisify(execFile);
const installTimeoutMs = 900_000;
const installsAtOnce = 2;

/** What the wheels of all releases import here; bounds are those of the newest release's own metadata. */
const dependencies = [
  ...["transformers>=4.56,<4.58", "aiohttp", "kubernetes<33,>=32.0.1", "msgspec", "msgpack", "prometheus-client>=0.23.1,<1.0", "pyzmq"],
  ...["typing-extensions", "zstandard", "tqdm", "certifi", "redis<9,>=6.2", "pydantic>=2.10.6,<=2.13.5", "uvloop", "fastapi", "distro"],
  ...["filelock", "click<8.2", "typer", "setuptools", "pillow", "numpy", "requests", "httpx", "nats-py", "blake3", "xxhash"],
  "jinja2", // the chat template that a 0.9.1 worker renders for image requests
];

const running = new Map<Release, Promise<string>>();
const waiting: (() => void)[] = [];
let installs = 0;

/**
 * Path of the environment's Python, installed on first use.
 *
 * @param say told in one line what is being installed
 * @throws Missing with the remedy when it cannot be installed
 */
export async function ensureRelease(release: Release, say: (line: string) => void): Promise<string> {
  const folder = folderOf(release);
  if (!existsSync(join(folder, "ok"))) {
    const installing = running.get(release) ?? inTurn(() => install(release, say));
    running.set(release, installing);
    await installing;
  }
  return join(folder, "bin", "python");
}

const folderOf = (release: Release): string => join(projectRoot, ".cache", "dynamo", release);

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

async function install(release: Release, say: (line: string) => void): Promise<string> {
  const folder = folderOf(release);
  const temporary = `${folder}.${process.pid}`;
  const python = join(temporary, "bin", "python");
  const pip = (...args: string[]) => run(python, ["-m", "pip", "install", "-q", ...args], { timeout: installTimeoutMs });
  removeAbandoned(folder);
  say(`installing Dynamo ${release} into .cache/dynamo (once; about a minute)`);
  const startedAt = Date.now();
  try {
    await mkdir(join(folder, ".."), { recursive: true });
    await run("python3", ["-m", "venv", temporary], { timeout: installTimeoutMs });
    await pip("--no-deps", `ai-dynamo==${release}`, `ai-dynamo-runtime==${release}`);
    await pip(...dependencies);
    await run(python, ["-c", "import dynamo.llm, dynamo.runtime"], { timeout: installTimeoutMs });
    writeFileSync(join(temporary, "ok"), `ai-dynamo ${release}\n`);
    if (existsSync(join(folder, "ok"))) return folder; // another process was faster
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
    say(`Dynamo ${release} installed in ${Math.round((Date.now() - startedAt) / 1000)} s`);
    return folder;
  } catch (error) {
    throw new Missing(`Dynamo ${release} could not be installed: ${reasonOf(error)}`, remedyOf(error), error);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Removes what killed installs of this release left behind. */
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
