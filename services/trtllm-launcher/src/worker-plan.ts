// What the launcher will start: one command per worker, real or simulated.
import { join } from "node:path";
import { type EndpointAddress, dialectOf, parseDynAddress } from "@mm-router/protocol";
import type { ModelFolder } from "@mm-router/runtime";
import type { LauncherConfig } from "./config.ts";
import type { EngineChoice } from "./engine-choice.ts";
import { planGpus } from "./gpu-plan.ts";
import { preflight, weightsBytesOf, type Finding } from "./preflight.ts";
import { type WorkerCommand, workerCommand } from "./worker-command.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface WorkerPlanInput {
  readonly config: LauncherConfig;
  readonly choice: EngineChoice;
  readonly python: string;
  readonly modelFolder: ModelFolder;
  readonly passThrough: readonly string[];
  readonly environment: Environment;
  /** One free status port per worker. */
  readonly systemPorts: readonly number[];
}

export interface WorkerPlan {
  readonly commands: readonly WorkerCommand[];
  readonly findings: readonly Finding[];
}

/** Where the workers register: `--endpoint` may be a name or a whole address, as in upstream's scripts. */
export function workerAddress({
  namespace,
  component,
  endpoint,
}: Pick<LauncherConfig, "namespace" | "component" | "endpoint">): EndpointAddress {
  return endpoint.startsWith("dyn://") ? parseDynAddress(endpoint) : { namespace, component, endpoint };
}

/** Name under which the workers register; the public name is the router's. */
export function servedModelName({ servedModelName: given, model }: Pick<LauncherConfig, "servedModelName" | "model">): string {
  return given ?? `${model}__internal`;
}

/** @throws AppError `configuration` when the GPUs do not suffice */
export async function planWorkers(input: WorkerPlanInput): Promise<WorkerPlan> {
  return input.choice.engine === "simulated" ? { commands: simulatedCommands(input), findings: [] } : await realPlan(input, input.choice);
}

async function realPlan(input: WorkerPlanInput, choice: EngineChoice & { engine: "trtllm" }): Promise<WorkerPlan> {
  const { config, passThrough, modelFolder } = input;
  const groupSize = config.tensorParallelSize * config.pipelineParallelSize;
  const shared = config.sharedGpu !== undefined && config.gpuIds === undefined;
  const gpuIds = shared ? [config.sharedGpu!] : (config.gpuIds ?? choice.gpus.map(({ gpuId }) => gpuId));
  const groups = planGpus({ gpuIds, workers: config.workers, groupSize, shared });
  const weightsBytes = await weightsBytesOf(modelFolder.path);
  const used = new Set(groups.flatMap((group) => group.gpuIds));
  const findings = preflight({
    release: choice.release,
    passThrough,
    gpus: choice.gpus.filter(({ gpuId }) => used.has(gpuId)),
    sharing: shared ? config.workers : 1,
    groupSize,
    ...(weightsBytes !== undefined && { weightsBytes }),
  });
  const parallel = [
    ...(config.tensorParallelSize > 1 ? ["--tensor-parallel-size", String(config.tensorParallelSize)] : []),
    ...(config.pipelineParallelSize > 1 ? ["--pipeline-parallel-size", String(config.pipelineParallelSize)] : []),
  ];
  const commands = groups.map((gpus, worker) =>
    workerCommand({
      dialect: dialectOf(choice.release.dynamo),
      python: input.python,
      model: config.model, // as given: the folder may hold configs only, and the engine finds the weights itself
      servedModelName: servedModelName(config),
      address: workerAddress(config),
      blockSize: config.blockSize,
      gpus,
      systemPort: input.systemPorts[worker]!,
      passThrough: [...parallel, ...passThrough],
      environment: input.environment,
    }),
  );
  return { commands, findings };
}

/** The stand-in lies in the test kit, which is never imported by what ships: it runs as a process of its own. */
const simulatedWorker = join(import.meta.dirname, "..", "..", "..", "packages", "testkit", "src", "simulated-worker", "main.ts");

function simulatedCommands({ config, modelFolder, environment, systemPorts, passThrough }: WorkerPlanInput): WorkerCommand[] {
  const { namespace, component, endpoint } = workerAddress(config);
  const args = [
    simulatedWorker,
    ["--model", modelFolder.path],
    ["--served-model-name", servedModelName(config)],
    ["--namespace", namespace, "--component", component, "--endpoint", endpoint],
    ["--block-size", String(config.blockSize)],
    passThrough,
  ].flat();
  return systemPorts.map((systemPort) => ({
    command: process.execPath,
    args,
    environment: { ...environment, DYN_SYSTEM_PORT: String(systemPort) },
  }));
}
