// What ./launch.sh runs.
//
//   infra ─▶ launcher ─▶ workers registered ─▶ indexer ─▶ mm-routers ─▶ frontend ─▶ /v1/models ─▶ first request ─▶ URL, curl lines
//   Ctrl-C or a process that ends: everything is stopped in reverse order; a second Ctrl-C at once.
//
// Nothing here waits for a time: each step waits for what the next one needs (ready.ts).
import { createWriteStream, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { AppError, cardPrefix, type EndpointAddress, instancePrefix } from "@mm-router/protocol";
import {
  type Child,
  connectDiscovery,
  createLogger,
  describeExit,
  type Discovery,
  type Environment,
  freePort,
  freePortBetween,
  helpText,
  levelOf,
  parseConfig,
  startChild,
} from "@mm-router/runtime";
import { chooseEngine, pythonOf } from "@mm-router/trtllm-launcher";
import { compose } from "./compose.ts";
import { curlLines, sendFirstRequest } from "./first-request.ts";
import { startInfra } from "./infra.ts";
import { resolveStackModel } from "./model.ts";
import { type PlannedProcess, planStack, type StackPlan } from "./plan.ts";
import { untilAnswer, untilKeys, type WaitOptions } from "./ready.ts";
import { type LaunchSettings, launchFields } from "./settings.ts";
import { type LaunchState, readState, removeState, writeState } from "./state-file.ts";
import { createUnwinder, type Unwinder } from "./unwind.ts";

const root = resolve(import.meta.dirname, "..", "..", "..", "..");
const usualAdminPort = 8001;
const startTimeoutMs = 60_000; // our own processes are up in about a second; a loaded machine takes longer
/** The launcher waits 20 s for its workers, 45 s for prefill workers; our own services drain in less. */
const stopTimeoutMs = 60_000;

export async function run(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  if (argv.includes("--help")) {
    process.stdout.write(helpText("./launch.sh [flags]     ./launch.sh status     ./launch.sh down", launchFields));
    return 0;
  }
  if (first === "status" && rest.length === 0) return status();
  if (first === "down" && rest.length === 0) return await down();
  const settings = parseConfig(launchFields, argv, process.env);
  return await start(settings, process.env);
}

const say = (line: string): void => void process.stderr.write(`launch: ${line}\n`);

async function start(settings: LaunchSettings, environment: Environment): Promise<number> {
  const running = readState(root);
  if (running !== undefined)
    throw new AppError("configuration", `a stack of this checkout runs already at ${running.url}: end it with ./launch.sh down`);
  const unwinder = createUnwinder(say);
  const interrupt = new AbortController();
  const onSignal = (): void => {
    if (interrupt.signal.aborted) void unwinder.unwind(0);
    else interrupt.abort(new AppError("client_closed", "interrupted"));
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    await startStack({ settings, environment, unwinder, signal: interrupt.signal });
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 0;
    throw error;
  } finally {
    await unwinder.unwind();
    removeState(root);
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

interface Stack {
  readonly settings: LaunchSettings;
  readonly environment: Environment;
  readonly unwinder: Unwinder;
  readonly signal: AbortSignal;
}

/** Resolves when the stack was asked to stop; rejects when a part of it ended by itself. */
async function startStack({ settings, environment, unwinder, signal }: Stack): Promise<void> {
  const engine = await resolveEngine(settings, environment);
  const modelFolder = await resolveStackModel({ root, settings, engine, environment, say, signal });
  const containers = compose(root, environment);
  unwinder.add("containers", () => containers.down());
  const infra = await startInfra({ root, environment, say, compose: () => containers.up() });
  unwinder.add("NATS and etcd", () => infra.stop());
  say(`NATS ${infra.natsUrl}, etcd ${infra.etcdUrl}`);

  const log = createLogger({ service: "launch", level: levelOf(environment.DYN_LOG ?? "warn"), form: "text" });
  const etcd = { endpoints: infra.etcdUrl.split(","), leaseTtlS: 10, connectDeadlineMs: 10_000 };
  const discovery = await connectDiscovery(etcd, { log });
  unwinder.add("discovery", () => discovery.close());

  const logDirectory = join(root, ".cache", "logs");
  mkdirSync(logDirectory, { recursive: true });
  const adminPort = settings.adminPort ?? (await freePortBetween(usualAdminPort, usualAdminPort).catch(() => freePort()));
  const plan = planStack({ settings, engine, modelFolder, adminPort, natsUrl: infra.natsUrl, etcdUrl: infra.etcdUrl, environment });
  const children: Child[] = [];
  const begin = (planned: PlannedProcess): void => {
    const child = startProcess(planned, logDirectory);
    children.push(child);
    unwinder.add(planned.name, (timeoutMs = stopTimeoutMs) => child.terminate(timeoutMs));
  };
  const url = `http://127.0.0.1:${settings.httpPort}`;
  await startInOrder({ plan, settings, discovery, begin, url, wait: (what, timeoutMs) => ({ what, timeoutMs, signal, children }) });

  const text = await sendFirstRequest(url, settings.model, signal);
  const pageUrl = `http://127.0.0.1:${adminPort}/`;
  const state = {
    pid: process.pid,
    url,
    pageUrl,
    model: settings.model,
    engine,
    natsUrl: infra.natsUrl,
    etcdUrl: infra.etcdUrl,
    namespace: settings.namespace,
    logDirectory,
  };
  writeState(root, state);
  announce(state, text);
  await untilEnd(children, signal);
}

interface StartOrder {
  readonly plan: StackPlan;
  readonly settings: LaunchSettings;
  readonly discovery: Discovery;
  readonly begin: (planned: PlannedProcess) => void;
  readonly url: string;
  readonly wait: (what: string, timeoutMs: number) => WaitOptions;
}

async function startInOrder({ plan, settings, discovery, begin, url, wait }: StartOrder): Promise<void> {
  const { namespace, component, endpoint, numWorkers, numRouters } = settings;
  const workers: EndpointAddress = { namespace, component, endpoint };
  const routers: EndpointAddress = { namespace, component: "mm_router", endpoint: "generate" };

  say(`starting ${numWorkers} workers`);
  begin(plan.launcher);
  await untilKeys(discovery, instancePrefix(workers), numWorkers, wait(`${numWorkers} registered workers`, settings.readyTimeoutS * 1000));

  say("starting the indexer");
  begin(plan.indexer);
  await untilKeys(discovery, instancePrefix({ ...workers, endpoint: "kv_indexer_query" }), 1, wait("the indexer's record", startTimeoutMs));

  say(`starting ${numRouters} mm-router${numRouters > 1 ? "s" : ""}`);
  for (const router of plan.routers) begin(router);
  await untilKeys(discovery, cardPrefix(routers), numRouters, wait(`${numRouters} mm-router cards`, startTimeoutMs));

  say("starting the frontend");
  begin(plan.frontend);
  await untilAnswer((signal) => isListed(url, settings.model, signal), wait(`${settings.model} in /v1/models`, startTimeoutMs));
}

async function resolveEngine(settings: LaunchSettings, environment: Environment): Promise<"trtllm" | "simulated"> {
  const python = pythonOf({ ...(settings.dynamoHome !== undefined && { dynamoHome: settings.dynamoHome }), path: environment.PATH });
  const choice = await chooseEngine(settings.engine, python, environment);
  if (choice.engine === "simulated") say(`SIMULATED workers (${choice.reason}): answers are made up, no model is computed`);
  return choice.engine;
}

function startProcess({ name, argv, environment }: PlannedProcess, logDirectory: string): Child {
  const file = createWriteStream(join(logDirectory, `${name}.log`));
  const child = startChild({
    name,
    command: join(root, "mmr"),
    args: argv,
    environment,
    onLine: (line) => file.write(`${line}\n`),
  });
  void child.exit.then(() => file.end());
  return child;
}

async function isListed(url: string, model: string, signal: AbortSignal): Promise<boolean> {
  const answer = await fetch(`${url}/v1/models`, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) });
  const { data } = (await answer.json()) as { data: { id: string }[] };
  return data.some(({ id }) => id === model);
}

function announce(state: LaunchState, firstAnswer: string): void {
  const curl = curlLines(state.url, state.model);
  process.stdout.write(
    [
      "",
      `mm-router is up at ${state.url}, model ${state.model}${state.engine === "simulated" ? "  (SIMULATED workers: answers are made up)" : ""}`,
      `page of what runs, with a playground: ${state.pageUrl}`,
      `first request answered: ${JSON.stringify(firstAnswer)}`,
      "",
      `text:\n  ${curl.text}`,
      `image (the second time it goes to the worker that has it):\n  ${curl.image}`,
      "",
      `checks, and what runs:\n  export ${lookAt(state)}; ./mmr doctor; ./mmr watch`,
      "",
      `logs: ${state.logDirectory}     Ctrl-C or ./launch.sh down stops everything`,
      "",
    ].join("\n"),
  );
}

/** Where the stack's own NATS and etcd are: mostly not at the usual ports. */
function lookAt({ natsUrl, etcdUrl, namespace }: LaunchState): string {
  return `NATS_SERVER=${natsUrl} ETCD_ENDPOINTS=${etcdUrl} DYN_NAMESPACE=${namespace}`;
}

async function untilEnd(children: readonly Child[], signal: AbortSignal): Promise<void> {
  const interrupted = new Promise<"interrupted">((resolve) => {
    if (signal.aborted) resolve("interrupted");
    signal.addEventListener("abort", () => resolve("interrupted"), { once: true });
  });
  const ended = children.map(async (child) => ({ child, exit: await child.exit }));
  const first = await Promise.race([interrupted, ...ended]);
  if (first !== "interrupted") throw new AppError("internal", describeExit(first.child, first.exit));
}

function status(): number {
  const state = readState(root);
  process.stdout.write(state === undefined ? "not running\n" : `${JSON.stringify(state, null, 2)}\n`);
  return state === undefined ? 1 : 0;
}

async function down(): Promise<number> {
  const state = readState(root);
  if (state === undefined) {
    process.stdout.write("not running\n");
    return 0;
  }
  process.kill(state.pid, "SIGTERM");
  const deadline = Date.now() + stopTimeoutMs * 2;
  while (readState(root) !== undefined) {
    if (Date.now() > deadline) throw new AppError("internal", `process ${state.pid} did not end within ${(stopTimeoutMs * 2) / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  process.stdout.write("stopped\n");
  return 0;
}
