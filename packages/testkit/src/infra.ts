// A real nats-server and a real etcd for one test, and the faults a test needs: killed, frozen, restarted, wiped.
//
//   await using nats = await startNats();      own process, own port, own store: gone with the block
//   nats.freeze() … nats.thaw()                SIGSTOP … SIGCONT: connections stay open, nobody answers
//   await nats.kill(); await nats.restart()    same port, store kept;  restart({ wipe: true }): an empty one
//
// A test never uses servers that run elsewhere (NATS_SERVER, ETCD_ENDPOINTS): it could not break them.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureInfraBinaries, makeRunDirectory, type Server, startEtcdServer, startNatsServer } from "@mm-router/cli/infra";
import { keepForReport } from "./failure-report.ts";
import { projectRoot } from "./project-root.ts";

export interface InfraServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Kills the process if it runs and starts one on the same port, with the store kept unless `wipe`. */
  restart(options?: { readonly wipe?: boolean }): Promise<void>;
  /** SIGSTOP: open connections stay open and silent. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

export type NatsServer = InfraServer;
export type EtcdServer = InfraServer;

/** @param options `maxPayload` in nats-server's notation, default 8MB; `storeDir` instead of a folder that goes with the server */
export async function startNats(options: { maxPayload?: string; storeDir?: string } = {}): Promise<NatsServer> {
  const { natsServer: binary } = await binaries();
  const limit = options.maxPayload === undefined ? {} : { maxPayload: options.maxPayload };
  return control(options.storeDir, (place) => startNatsServer({ binary, environment: process.env, ...limit, ...place }));
}

export async function startEtcd(options: { storeDir?: string } = {}): Promise<EtcdServer> {
  const { etcd: binary } = await binaries();
  return control(options.storeDir, (place) => startEtcdServer({ binary, environment: process.env, ...place }));
}

/** Paths of both servers, installed on first use. */
export const binaries = () =>
  ensureInfraBinaries({ root: projectRoot, environment: process.env, say: (line) => console.info(`testkit: ${line}`) });

interface Place {
  readonly directory: string;
  readonly port?: number;
}

async function control(storeDir: string | undefined, start: (place: Place) => Promise<Server>): Promise<InfraServer> {
  const directory = storeDir ?? makeRunDirectory(projectRoot);
  let server = keepForReport(await start({ directory }));
  const { url, port } = server;

  const kill = async (): Promise<void> => {
    server.child.signalGroup("SIGKILL");
    await server.child.exit;
  };
  const stop = async (): Promise<void> => {
    server.child.signalGroup("SIGCONT"); // a frozen process hears no TERM
    await server.stop();
    if (storeDir === undefined) rmSync(directory, { recursive: true, force: true });
  };
  return {
    url,
    port,
    kill,
    async restart({ wipe = false } = {}) {
      await kill();
      if (wipe) rmSync(join(directory, "store"), { recursive: true, force: true });
      server = keepForReport(await start({ directory, port }));
    },
    freeze() {
      server.child.signalGroup("SIGSTOP");
      untilStopped(server.child.pid!);
    },
    thaw: () => server.child.signalGroup("SIGCONT"),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A signal takes a moment to reach all threads, in which a server may still answer: a test that froze it must be able to rely on it. */
function untilStopped(pid: number): void {
  const deadline = performance.now() + 1_000;
  while (!/\) T /.test(readFileSync(`/proc/${pid}/stat`, "latin1")) && performance.now() < deadline);
}
