// The processes that a bench needs, as they run in production: each its own, started by its command line.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { makeRunDirectory } from "@mm-router/cli/infra";
import { AppError } from "@mm-router/protocol";
import { type Child, describeExit, type Runtime, startChild } from "@mm-router/runtime";
import { modelDir, type Place, projectRoot, startEtcd, startNats, waitFor } from "@mm-router/testkit";
import { connectTo } from "./connection.ts";

export interface BenchStack extends AsyncDisposable {
  readonly environment: Readonly<Record<string, string>>;
  readonly modelFolder: string;
  /** Starts `node SCRIPT ARGS` and waits for its line "ready". */
  script(name: string, ...args: readonly (string | number)[]): Promise<Child>;
  /** Starts `./mmr ARGS`; resolves at once. */
  mmr(...args: readonly string[]): Child;
  /** Where the testkit starts real Dynamo processes of the stack. */
  place(namespace: string): Place;
  /** Ends something started elsewhere with the stack. */
  own<T extends AsyncDisposable>(thing: T): T;
  /** This process's own connection to them; closed with the stack. */
  connect(): Promise<Runtime>;
}

/** NATS, etcd and a model folder; everything started through it ends with it. `more`: variables of all processes. */
export async function benchStack(plane: "nats" | "tcp", more: Readonly<Record<string, string>> = {}): Promise<BenchStack> {
  const started = new AsyncDisposableStack();
  const directory = makeRunDirectory(projectRoot);
  started.defer(() => rmSync(directory, { recursive: true, force: true }));
  const nats = started.use(await startNats());
  const etcd = started.use(await startEtcd());
  const environment = {
    PATH: process.env.PATH ?? "",
    HOME: process.env.HOME ?? "",
    NATS_SERVER: nats.url,
    ETCD_ENDPOINTS: etcd.url,
    DYN_REQUEST_PLANE: plane,
    DYN_LOG: "warn",
    DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "0",
    ...more,
  };
  const start = (name: string, command: string, args: readonly string[], onLine?: (line: string) => void): Child => {
    const child = startChild({ name, command, args, environment, ...(onLine !== undefined && { onLine }) });
    started.defer(async () => void (await child.terminate(5_000)));
    return child;
  };
  return {
    environment,
    modelFolder: modelDir({ modelType: "qwen2_vl" }),
    async connect() {
      const runtime = await connectTo(environment);
      started.defer(() => runtime.close());
      return runtime;
    },
    mmr: (...args) => start(`mmr ${args[0]}`, join(projectRoot, "mmr"), args),
    place: (namespace) => ({ natsUrl: nats.url, etcdUrl: etcd.url, namespace, requestPlane: plane, eventPlane: "nats", directory }),
    own: (thing) => started.use(thing),
    async script(name, ...args) {
      const ready = Promise.withResolvers<void>();
      const child = start(
        name,
        process.execPath,
        [join(projectRoot, "bench/support", `${name}.ts`), ...args.map(String)],
        (line) => line === "ready" && ready.resolve(),
      );
      void child.exit.then((status) => ready.reject(new AppError("internal", describeExit(child, status))));
      await ready.promise;
      return child;
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Waits up to a minute for a fact. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  await waitFor({ what, deadlineMs: 60_000 }, async () => (await isSo()) || undefined);
}
