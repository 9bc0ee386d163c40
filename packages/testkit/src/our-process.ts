// Our services and the simulated worker as processes, started as a user would start them: through ./mmr's command line.
//
// Ready is what others can see: HTTP answers, or the record in etcd. Each has a status server, so that tests assert on
// metrics instead of log lines.
import { join } from "node:path";
import { freePort, startChild } from "@mm-router/cli/infra";
import { addressesOf, type HttpFrontend, type Place, type StartedProcess, startedProcess } from "./dynamo-process.ts";
import { etcdEntries, registeredInstances } from "./etcd-view.ts";
import { commandLine } from "./project-root.ts";
import { waitFor } from "./wait-for.ts";

/** 1 s alone; two cells of the swap suite share 2 cores, and a busy machine has been seen to take ten times as long. */
const readyTimeoutMs = 60_000;

const simulatedWorker = join(import.meta.dirname, "simulated-worker", "main.ts");

export interface OurProcess extends StartedProcess {
  /** `http://127.0.0.1:port` of /live, /health and /metrics. */
  readonly statusUrl: string;
}

export interface OurService extends OurProcess {
  readonly instanceId: bigint;
}

export interface OurOptions {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export async function startOurFrontend(place: Place, options: OurOptions = {}): Promise<HttpFrontend & OurProcess> {
  const port = await freePort();
  const started = await start(place, "frontend", [commandLine, "frontend", "--http-port", `${port}`, ...(options.args ?? [])], options);
  const url = `http://127.0.0.1:${port}`;
  await waitFor({ what: "our frontend to answer HTTP", deadlineMs: readyTimeoutMs, child: started.child }, async () => {
    const answer = await fetch(`${url}/live`, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    return true;
  });
  return { ...started, url };
}

export interface OurRouterOptions extends OurOptions {
  /** Model folder. */
  readonly model: string;
  readonly servedName: string;
  /** The workers' component. */
  readonly workers: string;
  readonly component?: string;
  readonly blockSize?: number;
}

/** Starts one mm-router; start replicas one after the other. */
export async function startOurRouter(place: Place, options: OurRouterOptions): Promise<OurService> {
  const component = options.component ?? "mm_router";
  const endpointPath = `${place.namespace}/${component}/generate`;
  const known = await registeredInstances(place.etcdUrl, endpointPath);
  const args = [commandLine, "mm-router", "--model", options.model, "--served-model-name", options.servedName];
  args.push("--namespace", place.namespace, "--component", component, "--block-size", `${options.blockSize ?? 32}`);
  args.push("--downstream-component", options.workers, ...(options.args ?? []));
  const started = await start(place, component, args, options);
  const instanceId = await newInstance(started, component, known, () => registeredInstances(place.etcdUrl, endpointPath));
  return { ...started, instanceId };
}

export interface OurIndexerOptions extends OurOptions {
  /** The workers' component. */
  readonly workers: string;
  readonly blockSize?: number;
}

/** Starts the indexer; resolves when its endpoint is registered. */
export async function startOurIndexer(place: Place, options: OurIndexerOptions): Promise<OurService & { readonly url: string }> {
  const prefix = `v1/instances/${place.namespace}/${options.workers}/kv_indexer_query/`;
  const idsOf = async (): Promise<bigint[]> =>
    (await etcdEntries(place.etcdUrl, prefix)).map(({ key }) => BigInt(`0x${key.slice(prefix.length)}`));
  const known = await idsOf();
  const port = await freePort();
  const args = [commandLine, "indexer", "--namespace", place.namespace, "--component", options.workers];
  args.push("--block-size", `${options.blockSize ?? 32}`, "--http-port", `${port}`, ...(options.args ?? []));
  const started = await start(place, "indexer", args, options);
  const instanceId = await newInstance(started, "indexer", known, idsOf);
  return { ...started, instanceId, url: `http://127.0.0.1:${port}` };
}

export interface SimulatedWorkerProcessOptions extends OurOptions {
  /** Model folder. */
  readonly model: string;
  readonly servedName: string;
  readonly component: string;
  readonly blockSize?: number;
}

/** Starts a simulated worker; start those of one component one after the other. */
export async function startSimulatedProcess(place: Place, options: SimulatedWorkerProcessOptions): Promise<OurService> {
  const { component } = options;
  const endpointPath = `${place.namespace}/${component}/generate`;
  const known = await registeredInstances(place.etcdUrl, endpointPath);
  const args = [simulatedWorker, "--model", options.model, "--served-model-name", options.servedName];
  args.push(
    "--namespace",
    place.namespace,
    "--component",
    component,
    "--block-size",
    `${options.blockSize ?? 32}`,
    ...(options.args ?? []),
  );
  const started = await start(place, "simulated worker", args, options);
  const instanceId = await newInstance(started, component, known, () => registeredInstances(place.etcdUrl, endpointPath));
  return { ...started, instanceId };
}

/** Value of a metric without labels, or summed over those that have all the given ones. */
export async function metricOf({ statusUrl }: OurProcess, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const text = await (await fetch(`${statusUrl}/metrics`, { signal: AbortSignal.timeout(5_000) })).text();
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  const matching = lines.filter((line) => wanted.every((label) => line.includes(label)));
  return matching.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

async function start(place: Place, name: string, args: readonly string[], options: OurOptions): Promise<OurProcess> {
  const statusPort = await freePort();
  const environment = {
    ...process.env,
    ...addressesOf(place),
    DYN_SYSTEM_PORT: `${statusPort}`,
    DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "0",
    MMR_LIST_INTERNAL: "1", // readiness is read from /v1/models, also of workers without a router
    ...options.environment,
  };
  const started = startedProcess(startChild({ name: `our ${name}`, command: process.execPath, args, environment }));
  return { ...started, statusUrl: `http://127.0.0.1:${statusPort}` };
}

async function newInstance(
  started: StartedProcess,
  name: string,
  known: readonly bigint[],
  idsOf: () => Promise<readonly bigint[]>,
): Promise<bigint> {
  const { child } = started;
  try {
    return await waitFor({ what: `our ${name} to register`, deadlineMs: readyTimeoutMs, child }, async () =>
      (await idsOf()).find((id) => !known.includes(id)),
    );
  } catch (error) {
    await started.kill();
    throw error;
  }
}
