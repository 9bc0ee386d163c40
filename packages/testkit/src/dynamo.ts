// Real Dynamo processes of any release: `dynamo.trtllm` on the stand-in engine, mocker, frontend, Python scripts.
//
//   await using worker = await startDynamoWorker(place, { release: "1.6.1", model, servedName: "m__internal" });
//   worker.instanceId  worker.engineCalls()        which instance it is, and what its engine was really asked
//
// A worker is ready when etcd has its instance *and* its card, never after a log line or a time.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@mm-router/cli/infra";
import { defaultEventPath, factsOf, type KvEventPath, type Release } from "./dynamo-release.ts";
import { type HttpFrontend, type Place, type StartedProcess, startInterpreter, startPython } from "./dynamo-process.ts";
import { registeredInstances } from "./etcd-view.ts";
import { waitFor } from "./wait-for.ts";

export * from "./dynamo-process.ts";
export * from "./dynamo-release.ts";
export { ensureRelease } from "./dynamo-venv.ts";

/** 1.7–4.6 s alone, a third of it CPU; two cells of four processes each share 2 cores. */
const readyTimeoutMs = 90_000;
/** The same, of a worker that imports torch first. */
const readyWithTorchMs = 600_000;

const python = join(import.meta.dirname, "..", "python");

/** Environment under which a Python of this release finds the stand-in where `tensorrt_llm` would be, and a stub for torch where it has none. */
export function standInEnvironment(release: Release, { hasTorch = false } = {}): Record<string, string> {
  const stubs = hasTorch ? ["nixl-stub"] : ["torch-stub", "nixl-stub"];
  return { PYTHONPATH: [python, ...stubs.map((stub) => join(python, stub))].join(":"), ...factsOf(release).standIn };
}

export interface WorkerOptions {
  readonly release: Release;
  /** Model folder. */
  readonly model: string;
  readonly servedName: string;
  /** Default: the release's own. */
  readonly component?: string;
  readonly blockSize?: number;
  readonly modality?: "text" | "multimodal";
  readonly events?: KvEventPath;
  /** Further flags of `dynamo.trtllm`. */
  readonly args?: readonly string[];
  /** `SIM_…` switches of the stand-in (packages/testkit/python/README.md). */
  readonly engine?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Python of another environment, with this release and a real torch: processors of some models need it. */
  readonly pythonWithTorch?: string | undefined;
}

/** A line of the stand-in's own log: what the worker asked of its engine. */
export interface EngineCall {
  readonly op: "generate" | "abort" | "shutdown" | "rpc";
  readonly id?: number;
  readonly prompt_tokens?: number;
  readonly mm?: readonly [key: string, start: number, length: number][];
  readonly [member: string]: unknown;
}

export interface DynamoWorker extends StartedProcess {
  readonly release: Release;
  readonly component: string;
  readonly endpoint: "generate";
  readonly instanceId: bigint;
  engineCalls(): readonly EngineCall[];
}

/** Starts a real worker and waits for its registration. Start those of one component one after the other: the new id is its. */
export async function startDynamoWorker(place: Place, options: WorkerOptions): Promise<DynamoWorker> {
  const { release } = options;
  const facts = factsOf(release);
  const component = options.component ?? facts.defaultComponent;
  const endpointPath = `${place.namespace}/${component}/generate`;
  const known = await registeredInstances(place.etcdUrl, endpointPath);
  const engineLog = join(place.directory, `engine-${component}-${known.length}-${process.hrtime.bigint()}.jsonl`);
  const args = ["-m", "dynamo.trtllm", "--model-path", options.model, "--served-model-name", options.servedName];
  args.push("--endpoint", `dyn://${place.namespace}.${component}.generate`, "--kv-block-size", `${options.blockSize ?? 32}`);
  args.push("--publish-events-and-metrics", ...eventArgs(release, options.events), "--modality", options.modality ?? "multimodal");
  const { pythonWithTorch } = options;
  if (pythonWithTorch !== undefined) args.push("--gpus-per-node", "1"); // a real torch finds none, and the worker would end
  const standIn = standInEnvironment(release, { hasTorch: pythonWithTorch !== undefined });
  const environment = { ...standIn, SIM_REQUEST_LOG: engineLog, ...options.engine, ...options.environment };
  const command = { name: "dynamo.trtllm", args: [...args, ...(options.args ?? [])], environment };
  const started =
    pythonWithTorch === undefined ? await startPython(place, { ...command, release }) : startInterpreter(place, pythonWithTorch, command);
  const deadlineMs = pythonWithTorch === undefined ? readyTimeoutMs : readyWithTorchMs;
  const instanceId = await untilRegistered(place, started, endpointPath, known, deadlineMs);
  return { ...started, release, component, endpoint: "generate", instanceId, engineCalls: () => readEngineLog(engineLog) };
}

export interface MockerOptions {
  readonly release: Release;
  /** Model folder; also the name it is served under (1.0.2 looks another name up in the hub, for the frontend's files). */
  readonly model: string;
  readonly component: string;
  readonly blockSize?: number;
  readonly args?: readonly string[];
}

export interface DynamoMocker extends StartedProcess {
  /** Where it was started. */
  readonly place: Place;
  readonly component: string;
  readonly instanceId: bigint;
}

/** Starts Dynamo's own mocker with one worker in it. */
export async function startDynamoMocker(place: Place, options: MockerOptions): Promise<DynamoMocker> {
  const endpointPath = `${place.namespace}/${options.component}/generate`;
  const known = await registeredInstances(place.etcdUrl, endpointPath);
  const args = ["-m", "dynamo.mocker", "--model-path", options.model, "--num-workers", "1"];
  args.push("--endpoint", `dyn://${place.namespace}.${options.component}.generate`, "--block-size", `${options.blockSize ?? 32}`);
  args.push("--speedup-ratio", "10", ...(options.args ?? []));
  const started = await startPython(place, { name: "dynamo.mocker", release: options.release, args });
  const instanceId = await untilRegistered(place, started, endpointPath, known);
  return { ...started, place, component: options.component, instanceId };
}

export interface FrontendOptions {
  readonly release: Release;
  readonly routerMode?: "round-robin" | "random" | "kv";
  /** Serves its index under the workers' component; releases >= 1.4. */
  readonly serveIndexer?: boolean;
  readonly args?: readonly string[];
}

/** Starts a real frontend; resolves when it answers HTTP. Wait for a model with `untilListed`. */
export async function startDynamoFrontend(place: Place, options: FrontendOptions): Promise<HttpFrontend> {
  const port = await freePort();
  const args = ["-m", "dynamo.frontend", "--http-port", `${port}`, "--router-mode", options.routerMode ?? "round-robin"];
  if (options.serveIndexer === true) args.push("--serve-indexer");
  const started = await startPython(place, { name: "dynamo.frontend", release: options.release, args: [...args, ...(options.args ?? [])] });
  const url = `http://127.0.0.1:${port}`;
  await waitFor({ what: `${started.child.name} to answer HTTP`, deadlineMs: readyTimeoutMs, child: started.child }, async () => {
    const answer = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    return true;
  });
  return { ...started, url };
}

/** Waits until a frontend, theirs or ours, lists the model. */
export async function untilListed(frontend: HttpFrontend, model: string): Promise<void> {
  const { child, url } = frontend;
  await waitFor({ what: `${child.name} to list ${model}`, deadlineMs: readyTimeoutMs, child }, async () => {
    const answer = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(2_000) });
    const { data } = (await answer.json()) as { data: { id: string }[] };
    return data.some(({ id }) => id === model) || undefined;
  });
}

/** Waits until a frontend answers for the model: a real one lists it some milliseconds before it opens its routes. Asks for one token. */
export async function untilServed(frontend: HttpFrontend, model: string): Promise<void> {
  await untilListed(frontend, model);
  const { child, url } = frontend;
  const request = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, max_tokens: 1, messages: [{ role: "user", content: "ready?" }] }),
  };
  await waitFor({ what: `${child.name} to serve ${model}`, deadlineMs: readyTimeoutMs, child }, async () => {
    const answer = await fetch(`${url}/v1/chat/completions`, { ...request, signal: AbortSignal.timeout(10_000) });
    await answer.arrayBuffer();
    return answer.ok || undefined;
  });
}

/**
 * Runs a Python script of the tests in a release's environment until it ends.
 *
 * @returns its stdout and stderr, line by line
 * @throws Error with the last lines when it fails or the deadline passes
 */
export async function runPythonScript(
  place: Place,
  options: { readonly release: Release; readonly script: string; readonly args: readonly string[]; readonly deadlineMs?: number },
): Promise<readonly string[]> {
  const lines: string[] = [];
  const { child, kill } = await startPython(place, {
    name: options.script,
    release: options.release,
    args: [options.script, ...options.args],
    onLine: (line) => lines.push(line),
  });
  const timer = setTimeout(() => void kill(), options.deadlineMs ?? 60_000);
  const status = await child.exit;
  clearTimeout(timer);
  if (status.code !== 0) throw new Error(`${options.script} failed (${status.signal ?? status.code}):\n${child.lastLines().join("\n")}`);
  return lines;
}

function eventArgs(release: Release, path: KvEventPath = defaultEventPath(release)): readonly string[] {
  const args = factsOf(release).eventArgs[path];
  if (args === undefined) throw new RangeError(`Dynamo ${release} cannot publish KV events over ${path}`);
  return args;
}

/** Id of the instance that a process just started registers; the process ends where it does not in time. */
export async function untilRegistered(
  place: Place,
  started: StartedProcess,
  endpointPath: string,
  known: readonly bigint[],
  deadlineMs: number = readyTimeoutMs,
): Promise<bigint> {
  const { child } = started;
  const what = `${child.name} to register ${endpointPath}`;
  try {
    return await waitFor({ what, deadlineMs, child }, async () =>
      (await registeredInstances(place.etcdUrl, endpointPath)).find((id) => !known.includes(id)),
    );
  } catch (error) {
    await started.kill();
    throw error;
  }
}

function readEngineLog(path: string): readonly EngineCall[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as EngineCall);
}
