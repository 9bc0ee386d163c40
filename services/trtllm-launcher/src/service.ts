// Wires the launcher: what to start, the supervisors, their output, readiness, warm-up.
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { AppError, type InstanceId } from "@mm-router/protocol";
import {
  connectRuntime,
  type EndpointClient,
  freePortBetween,
  type Logger,
  resolveModel,
  type RunningService,
  type ServiceDeps,
  runtimeConfigOf,
} from "@mm-router/runtime";
import type { LauncherConfig } from "./config.ts";
import { chooseEngine } from "./engine-choice.ts";
import { pythonOf } from "./installed-release.ts";
import { launcherMetrics } from "./launcher-metrics.ts";
import { logRelay } from "./log-relay.ts";
import { NewInstances, untilHealthy } from "./readiness.ts";
import { imagePromptOf, warmUp } from "./warm-up.ts";
import { type Environment, planWorkers, servedModelName, workerAddress } from "./worker-plan.ts";
import { WorkerSupervisor } from "./worker-supervisor.ts";

/** Longer than the worker's own: 5 s grace, running requests, 10 s on top; a prefill worker drains 30 s more. */
const stopTimeoutMs = { others: 20_000, prefill: 45_000 };
/** Dynamo reads DYN_SYSTEM_PORT as a signed 16-bit number: a worker of 1.6.1 ends at once with a higher one. */
const systemPortRange = [20_000, 32_767] as const;
const warmUpTimeoutMs = 60_000;

export interface LauncherDeps extends ServiceDeps {
  /** What the workers inherit. */
  readonly environment: Environment;
}

/** Starts the workers and keeps them alive until `close`. */
export async function createLauncher(config: LauncherConfig, deps: LauncherDeps): Promise<RunningService> {
  const { log, environment, passThrough } = deps;
  const python = pythonOf({ ...(config.dynamoHome !== undefined && { dynamoHome: config.dynamoHome }), path: environment.PATH });
  const childEnvironment: Environment = {
    ...environment,
    DYN_REQUEST_PLANE: config.requestPlane,
    DYN_EVENT_PLANE: config.eventPlane,
    NATS_SERVER: config.natsServer,
    ETCD_ENDPOINTS: config.etcdEndpoints.join(","),
  };
  const choice = await chooseEngine(config.engine, python, childEnvironment);
  if (choice.engine === "simulated") log.warn("SIMULATED workers: no model is computed, answers are made up", { reason: choice.reason });
  const modelFolder = await resolveModel(config.model, { environment, signal: deps.signal });
  const systemPorts = await distinctPorts(config.workers);
  const plan = await planWorkers({ config, choice, python, modelFolder, passThrough, environment: childEnvironment, systemPorts });
  report(plan.findings, log);

  const runtime = await connectRuntime(runtimeConfigOf(config, deps.service), deps);
  const address = workerAddress(config);
  const client = runtime.endpoint(address).client();
  await client.ready();
  const newInstances = new NewInstances(client);
  const tell = launcherMetrics(deps.metrics);
  const warm = config.warmUp ? warmer(client, modelFolder.path, servedModelName(config), log) : undefined;
  const prefill = passThrough.includes("prefill") || passThrough.some((argument) => argument.endsWith("=prefill"));

  const supervisors = plan.commands.map((command, index) => {
    const name = `worker-${index}`;
    return new WorkerSupervisor({
      name,
      command,
      log,
      onLine: lineSink(name, config.logDirectory),
      untilReady: async (signal) => {
        await untilHealthy(systemPorts[index]!, address.endpoint, signal);
        const instanceId = await newInstances.take(signal);
        await warm?.(instanceId, signal);
      },
      readyTimeoutMs: config.readyTimeoutS * 1000,
      stopTimeoutMs: prefill ? stopTimeoutMs.prefill : stopTimeoutMs.others,
      now: () => performance.now(),
      onChange: tell,
    });
  });
  return {
    endpoints: () => Object.fromEntries(supervisors.map(({ state }) => [state.name, state.phase === "ready" ? "ready" : "notready"])),
    ended: allEnded(supervisors, deps.signal),
    async close() {
      await Promise.all(supervisors.map((supervisor) => supervisor.stop()));
      client.close();
      await runtime.close();
    },
  };
}

async function distinctPorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePortBetween(...systemPortRange));
  return [...ports];
}

/** Rejects when every worker was given up without anybody having asked for it. */
async function allEnded(supervisors: readonly WorkerSupervisor[], signal: AbortSignal): Promise<void> {
  await Promise.all(supervisors.map(({ ended }) => ended));
  if (!signal.aborted) throw new AppError("configuration", "every worker was given up; the reasons stand above");
}

function report(findings: Awaited<ReturnType<typeof planWorkers>>["findings"], log: Logger): void {
  for (const { severity, sentence } of findings) if (severity === "warning") log.warn(sentence);
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new AppError("configuration", errors.map(({ sentence }) => sentence).join("; "));
}

/** Sends a new worker its first image; what goes wrong is said and does not keep the worker out. */
function warmer(
  client: EndpointClient,
  modelFolder: string,
  modelName: string,
  log: Logger,
): (instanceId: InstanceId, signal: AbortSignal) => Promise<void> {
  return async (instanceId, signal) => {
    const prompt = await imagePromptOf(modelFolder);
    if (prompt === undefined) return;
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(warmUpTimeoutMs)]);
      await warmUp(client, instanceId, prompt, modelName, limited);
    } catch (error) {
      log.warn("warm-up image failed; the worker serves, its image keys are unproven", { instance_id: instanceId.toString(16), error });
    }
  };
}

function lineSink(name: string, logDirectory: string | undefined): (line: string) => void {
  const terminal = logRelay({ process: name, colours: process.stderr.isTTY === true, write: (text) => process.stderr.write(text) });
  if (logDirectory === undefined) return terminal;
  mkdirSync(logDirectory, { recursive: true });
  const file = createWriteStream(join(logDirectory, `${name}.log`), { flags: "a" });
  return (line) => {
    terminal(line);
    file.write(`${line}\n`);
  };
}
