// A real worker with a real engine: `python -m dynamo.vllm` of 1.6.1, which computes, caches, evicts and counts by itself, on a CPU.
//
//   engine ─ ZMQ, loopback ─► worker's publisher ─► event plane        one port per worker
//
// I1  Its engine processes are in its own group and end with it; killed alone, they would keep 2 GB each.
import { join } from "node:path";
import { freePort } from "@mm-router/cli/infra";
import { type Place, type StartedProcess, startInterpreter } from "./dynamo-process.ts";
import { engineFolder, ensureEngine } from "./engine-venv.ts";
import { registeredInstances } from "./etcd-view.ts";
import { waitFor } from "./wait-for.ts";

/** Two are up after a minute on two quiet cores; on busy ones it has been 20 times as long. */
const readyTimeoutMs = 1_800_000;

export interface EngineWorkerOptions {
  readonly count: number;
  /** Model folder. */
  readonly model: string;
  readonly servedName: string;
  readonly component: string;
  /** Blocks of the cache: few make it evict. At least a whole context. */
  readonly blocks: number;
  /** 32 or 64: the engine has no other on a CPU. */
  readonly blockSize: number;
  readonly contextTokens: number;
}

const environment = {
  VLLM_CPU_KVCACHE_SPACE: "1", // GiB
  VLLM_CPU_OMP_THREADS_BIND: "nobind",
  OMP_NUM_THREADS: "1",
  TORCHDYNAMO_DISABLE: "1",
  VLLM_ENABLE_V1_MULTIPROCESSING: "0", // allows `uni`: the model runs in the engine's process, not in a third one that imports torch again
  VLLM_NO_USAGE_STATS: "1",
  VLLM_CACHE_ROOT: join(engineFolder, "cache"), // what it finds out about its model classes, by importing torch once more
};

/** Starts workers together, since each spends a minute of CPU on its imports, and waits until as many more are registered. */
export async function startEngineWorkers(place: Place, options: EngineWorkerOptions): Promise<readonly StartedProcess[]> {
  const python = await ensureEngine((line) => console.info(`testkit: ${line}`));
  const endpointPath = `${place.namespace}/${options.component}/generate`;
  const registered = async (): Promise<number> => (await registeredInstances(place.etcdUrl, endpointPath)).length;
  const wanted = options.count + (await registered());
  await using started = new AsyncDisposableStack();
  const workers: StartedProcess[] = [];
  for (let i = 0; i < options.count; i++) workers.push(started.use(await startOne(place, python, options)));
  const what = `${options.count} workers with an engine to register ${endpointPath}`;
  const isReady = async (): Promise<true | undefined> => ((await registered()) >= wanted ? true : undefined);
  await Promise.all(workers.map(({ child }) => waitFor({ what, deadlineMs: readyTimeoutMs, child }, isReady)));
  started.move();
  return workers;
}

async function startOne(place: Place, python: string, options: EngineWorkerOptions): Promise<StartedProcess> {
  const events = { enable_kv_cache_events: true, publisher: "zmq", endpoint: `tcp://*:${await freePort()}` };
  const args = ["-m", "dynamo.vllm", "--model", options.model, "--served-model-name", options.servedName];
  args.push("--endpoint", `dyn://${place.namespace}.${options.component}.generate`, "--enable-multimodal");
  args.push("--load-format", "dummy", "--dtype", "float32", "--enforce-eager", "--distributed-executor-backend", "uni");
  args.push("--block-size", `${options.blockSize}`, "--max-model-len", `${options.contextTokens}`, "--max-num-seqs", "4");
  args.push("--num-gpu-blocks-override", `${options.blocks}`, "--kv-events-config", JSON.stringify(events));
  return startInterpreter(place, python, { name: "dynamo.vllm", args, environment });
}
