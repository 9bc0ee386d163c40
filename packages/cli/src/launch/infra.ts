// NATS and etcd for one stack: the servers given by the environment, or our own.
//
//   NATS_SERVER / ETCD_ENDPOINTS set ─► used, never stopped
//   compose hook (launch.sh)         ─► used, stopped by its owner
//   else binaries (infra-binaries)   ─► started here on free ports, stopped in reverse
//
// Each own server lives in a folder below .cache/run: store, config, nothing elsewhere. A server is ready when it
// answers (NATS: its INFO line; etcd: /health), never after a time.
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "@mm-router/protocol";
import { type Child, describeExit, type Environment, freePort, startChild } from "@mm-router/runtime";
import { ensureInfraBinaries, type InfraBinariesOptions } from "./infra-binaries.ts";

export { type Child, type ChildOptions, describeExit, type Environment, type ExitStatus, freePort, startChild } from "@mm-router/runtime";
export { ensureInfraBinaries, type InfraBinaries, type InfraBinariesOptions } from "./infra-binaries.ts";

const readyTimeoutMs = 15_000; // etcd 1.1 s, NATS 17 ms alone; a loaded 2-core machine took 6 s
const stopGraceMs = 5_000;
/** An inline image of 380 kB is a request of more than the default 1 MiB (wire: the data URL travels twice). */
const maxPayload = "8MB";

export interface ServerOptions {
  readonly binary: string;
  /** Store, configuration; made when missing, kept when the server stops. */
  readonly directory: string;
  readonly environment: Environment;
  /** Default: a free one. */
  readonly port?: number;
}

export interface NatsServerOptions extends ServerOptions {
  /** In nats-server's notation. Default 8MB. */
  readonly maxPayload?: string;
}

export interface Server {
  readonly url: string;
  readonly port: number;
  readonly child: Child;
  stop(): Promise<void>;
}

/** Starts nats-server with JetStream on 127.0.0.1; resolves when it answers. */
export async function startNatsServer(options: NatsServerOptions): Promise<Server> {
  const { directory, binary, environment } = options;
  const port = options.port ?? (await freePort());
  const configuration = join(directory, "nats.conf");
  mkdirSync(directory, { recursive: true });
  writeFileSync(configuration, `max_payload: ${options.maxPayload ?? maxPayload}\n`); // there is no flag for it
  const args = ["-a", "127.0.0.1", "-p", `${port}`, "-js", "-sd", join(directory, "store"), "-c", configuration];
  const child = startChild({ name: "nats-server", command: binary, args, environment });
  await untilReady(child, () => natsAnswers(port));
  return serverOf(child, port, `nats://127.0.0.1:${port}`);
}

/** Starts a one-member etcd on 127.0.0.1; resolves when it is healthy. */
export async function startEtcdServer(options: ServerOptions): Promise<Server> {
  const { directory, binary, environment } = options;
  const port = options.port ?? (await freePort());
  const client = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const args = ["--data-dir", join(directory, "store"), "--unsafe-no-fsync", "--log-level", "warn"];
  args.push("--listen-client-urls", client, "--advertise-client-urls", client);
  args.push("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`);
  const child = startChild({ name: "etcd", command: binary, args, environment });
  await untilReady(child, () => etcdAnswers(client));
  return serverOf(child, port, client);
}

export interface InfraUrls {
  /** `nats://host:port`, more than one separated by commas. */
  readonly natsUrl: string;
  /** `http://host:port`, more than one separated by commas. */
  readonly etcdUrl: string;
}

export interface Infra extends InfraUrls {
  stop(): Promise<void>;
}

export interface InfraOptions extends InfraBinariesOptions {
  /** Offers servers that run elsewhere (docker compose); asked when the environment names none. */
  readonly compose?: () => Promise<InfraUrls | undefined>;
}

/**
 * Gives a stack its NATS and etcd; `stop` ends what was started here.
 *
 * @throws AppError `dependency_unreachable` with the remedy
 */
export async function startInfra(options: InfraOptions): Promise<Infra> {
  const given = { natsUrl: options.environment.NATS_SERVER || undefined, etcdUrl: options.environment.ETCD_ENDPOINTS || undefined };
  const outside = given.natsUrl === undefined && given.etcdUrl === undefined ? await options.compose?.() : undefined;
  const natsUrl = given.natsUrl ?? outside?.natsUrl;
  const etcdUrl = given.etcdUrl ?? outside?.etcdUrl;
  if (natsUrl !== undefined && etcdUrl !== undefined) return { natsUrl, etcdUrl, stop: async () => {} };

  const binaries = await ensureInfraBinaries(options);
  const directory = makeRunDirectory(options.root);
  const { environment } = options;
  const own: Server[] = [];
  const stop = async (): Promise<void> => {
    for (const server of own.reverse()) await server.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  const start = async (starting: Promise<Server>): Promise<string> => {
    const server = await starting;
    own.push(server);
    return server.url;
  };
  try {
    return {
      natsUrl: natsUrl ?? (await start(startNatsServer({ binary: binaries.natsServer, directory: join(directory, "nats"), environment }))),
      etcdUrl: etcdUrl ?? (await start(startEtcdServer({ binary: binaries.etcd, directory: join(directory, "etcd"), environment }))),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A new folder below `.cache/run`, named after this process; folders of processes that were killed are removed. */
export function makeRunDirectory(root: string): string {
  const parent = join(root, ".cache", "run");
  mkdirSync(parent, { recursive: true });
  for (const name of readdirSync(parent)) {
    if (!isAlive(Number.parseInt(name, 10))) rmSync(join(parent, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(parent, `${process.pid}-`));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // another user's process
  }
}

function serverOf(child: Child, port: number, url: string): Server {
  return {
    url,
    port,
    child,
    async stop() {
      await child.terminate(stopGraceMs);
    },
  };
}

async function untilReady(child: Child, answers: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + readyTimeoutMs;
  while (!(await answers())) {
    if (!child.running) throw new AppError("dependency_unreachable", describeExit(child, await child.exit));
    if (Date.now() > deadline) {
      await child.terminate(0);
      const said = child.lastLines().slice(-10).join("\n");
      throw new AppError(
        "dependency_unreachable",
        `${child.name} did not answer within ${readyTimeoutMs / 1000} s; its last lines:\n${said}`,
      );
    }
    await sleep(20);
  }
}

/** NATS greets each connection with an INFO line once it serves clients. */
async function natsAnswers(port: number): Promise<boolean> {
  const socket = connect({ port, host: "127.0.0.1", timeout: 1_000 });
  try {
    const [greeting] = (await once(socket, "data", { signal: AbortSignal.timeout(1_000) })) as [Buffer];
    return greeting.toString("latin1").startsWith("INFO ");
  } catch {
    return false; // not listening yet
  } finally {
    socket.destroy();
  }
}

async function etcdAnswers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) });
    return answer.ok && (await answer.text()).includes("true"); // {"health":"true"}: a string, since 3.0
  } catch {
    return false; // not listening yet
  }
}
