// Which processes launch.sh starts, in which order, with which arguments. Pure; deploy/docker-compose.yml is compared with it.
//
//   launcher (workers) ─▶ indexer ─▶ mm-router × N ─▶ frontend          stopped in reverse
import type { Environment } from "@mm-router/runtime";
import type { LaunchSettings } from "./settings.ts";

export interface PlannedProcess {
  /** `mm-router-0`; names its log file, too. */
  readonly name: string;
  /** Arguments of ./mmr. */
  readonly argv: readonly string[];
  readonly environment: Environment;
}

export interface StackPlan {
  readonly launcher: PlannedProcess;
  readonly indexer: PlannedProcess;
  readonly routers: readonly PlannedProcess[];
  readonly frontend: PlannedProcess;
}

export interface StackPlanInput {
  readonly settings: LaunchSettings;
  /** Decided before: `auto` is resolved. */
  readonly engine: "trtllm" | "simulated";
  /** Folder with the model's config and tokenizer files. */
  readonly modelFolder: string;
  /** Of the frontend's page. */
  readonly adminPort: number;
  readonly natsUrl: string;
  readonly etcdUrl: string;
  readonly environment: Environment;
}

const adminHost = "127.0.0.1";

export function planStack(input: StackPlanInput): StackPlan {
  const { settings } = input;
  const shared: Environment = {
    ...input.environment,
    NATS_SERVER: input.natsUrl,
    ETCD_ENDPOINTS: input.etcdUrl,
    DYN_REQUEST_PLANE: settings.requestPlane,
    DYN_EVENT_PLANE: settings.eventPlane,
    DYN_SYSTEM_PORT: undefined, // one value for several processes would collide
    // The grace is for callers that still hold the old list; here all leave together.
    DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: input.environment.DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS ?? "0",
  };
  const place = ["--namespace", settings.namespace];
  const blocks = ["--block-size", String(settings.blockSize)];
  return {
    launcher: { name: "launcher", argv: ["launcher", ...launcherArguments(input), ...place, ...blocks], environment: shared },
    indexer: {
      name: "indexer",
      argv: ["indexer", ...place, "--component", settings.component, ...blocks, "--http-port", String(settings.indexerPort)],
      environment: shared,
    },
    routers: Array.from({ length: settings.numRouters }, (_, index) => ({
      name: `mm-router-${index}`,
      argv: ["mm-router", ...routerArguments(input), ...place, ...blocks],
      environment: { ...shared, MMR_IMAGE_DIALECT: settings.imageDialect },
    })),
    frontend: {
      name: "frontend",
      argv: [
        "frontend",
        "--http-port",
        String(settings.httpPort),
        "--admin-host",
        adminHost,
        "--admin-port",
        String(input.adminPort),
        ...place,
      ],
      environment: shared,
    },
  };
}

function launcherArguments({ settings, engine, modelFolder }: StackPlanInput): string[] {
  return [
    ["--engine", engine],
    // A real worker loads weights, which the folder of configs may not hold: it gets the name as the user gave it.
    ["--model", engine === "simulated" ? modelFolder : settings.model],
    ["--served-model-name", `${settings.model}__internal`],
    ["--workers", String(settings.numWorkers)],
    ["--component", settings.component, "--endpoint", settings.endpoint],
    settings.gpuIds === undefined ? [] : ["--gpus", settings.gpuIds.join(",")],
    settings.gpuId === undefined || settings.gpuIds !== undefined ? [] : ["--shared-gpu", settings.gpuId],
    settings.dynamoHome === undefined ? [] : ["--dynamo-home", settings.dynamoHome],
    ["--ready-timeout", String(settings.readyTimeoutS)],
  ].flat();
}

function routerArguments({ settings, modelFolder }: StackPlanInput): string[] {
  return [
    ["--model", modelFolder],
    ["--served-model-name", settings.model],
    ["--model-type", settings.modelType],
    ["--downstream-component", settings.component, "--downstream-endpoint", settings.endpoint],
    settings.numRouters > 1 ? ["--router-replica-sync"] : [], // alone there is nobody to tell
  ].flat();
}
