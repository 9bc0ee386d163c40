// Wires the frontend: discovery → models, HTTP → answers.
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { AppError, type CardFile, type EndpointAddress, type ModelCard } from "@mm-router/protocol";
import {
  connectRuntime,
  readCardFile,
  resolveModel,
  type RunningService,
  type Runtime,
  runtimeConfigOf,
  type ServiceDeps,
  systemClock,
} from "@mm-router/runtime";
import type { FrontendConfig } from "./config.ts";
import type { AnswerDeps } from "./http/answer-deps.ts";
import { InFlight } from "./http/in-flight.ts";
import type { ServedPaths } from "./http/served-paths.ts";
import { createHttpServer, type ServerDeps, type TlsFiles } from "./http/server.ts";
import { frontendMetrics, timedText } from "./metrics.ts";
import { type BusyThresholds, BusyWorkers } from "./models/busy-workers.ts";
import { ComponentIndexes } from "./models/component-indexes.ts";
import { loadCardText } from "./models/card-files.ts";
import { InstanceDirectory } from "./models/instance-directory.ts";
import { ModelSet } from "./models/model-set.ts";
import { KvRouting } from "./models/kv-routing.ts";
import { loraNameOf } from "./models/worker-set.ts";
import { ModelWatcher } from "./models/model-watcher.ts";
import { WorkerLoads } from "./models/worker-loads.ts";
import type { AdminListener } from "./page/admin-listener.ts";
import { openAdmin, pageDeps } from "./page/open-page.ts";
import { unknownParsers } from "./postprocess/chat-form.ts";
import type { TextModel } from "./text/index.ts";

const MiB = 1024 * 1024;
/** An index that failed so often in a row is left alone for so long. */
const indexFailuresMax = 3;
const indexRestMs = 1_000;

export interface Frontend extends RunningService {
  readonly port: number;
  /** Of the admin listener, where there is one. */
  readonly adminPort: number | undefined;
}

/** Starts the frontend: it answers as soon as this resolves, and serves each model as its card comes. */
export async function createFrontend(config: FrontendConfig, deps: ServiceDeps): Promise<Frontend> {
  const tls = tlsFiles(config);
  const runtime = await connectRuntime(runtimeConfig(config, deps.service), deps);
  const models = new ModelSet();
  const inFlight = new InFlight();
  const directory = new InstanceDirectory(runtime.discovery);
  const loads = new WorkerLoads(runtime, deps.log);
  const busy = new BusyWorkers(busyDefaults(config), loads);
  const serverDeps = serverDepsOf(config, deps, { models, inFlight, directory, busy });
  const watcher = watchModels(config, deps, runtime, serverDeps);
  const page = pageDeps(config, { runtime, server: serverDeps, service: deps.service });
  const server = createHttpServer({ ...serverDeps, page: config.page === "http" ? page : undefined }, tls);
  let admin: AdminListener | undefined;
  const closeAll = async () => {
    admin?.close();
    watcher.close();
    directory.close();
    loads.close();
    server.closeAllConnections();
    await runtime.close();
  };
  try {
    await listening(server, config);
    admin = await openAdmin(config, serverDeps, page);
  } catch (error) {
    await closeAll();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  deps.log.info("http", { host: config.httpHost, http_port: port, tls: tls !== undefined });
  if (admin !== undefined) deps.log.info("page", { host: config.adminHost, admin_port: admin.port });
  return {
    port,
    adminPort: admin?.port,
    close: async () => {
      await inFlight.drain(config.drainS * 1000);
      server.close();
      await closeAll();
    },
  };
}

function serverDepsOf(
  config: FrontendConfig,
  { log, metrics, tracer, service }: ServiceDeps,
  parts: Pick<ServerDeps, "models" | "inFlight" | "directory" | "busy">,
): ServerDeps {
  return {
    ...parts,
    log,
    tracer,
    metrics: frontendMetrics(metrics, config.metricsPrefix),
    registry: metrics,
    overloadStatus: config.overloadStatus,
    stallMs: config.clientStallS * 1000,
    bodyLimits: { bodyMb: config.bodyMbMax },
    ...requestRules(config),
    stream: {
      keepAliveMs: config.keepAliveMs,
      forceUsage: config.forceUsage,
      earlyErrorMs: config.earlyErrorMs,
      qualityHeader: config.qualityHeader,
    },
    adminApi: !config.disableAdminApi,
    version: service.version,
    reasoningField: config.reasoningField,
    dispatch: { tools: config.toolDispatch, reasoning: config.reasoningDispatch },
    paths: servedPaths(config),
    anthropicApi: config.anthropicApi,
    modelList: { listInternal: config.listInternal, contextWindow: config.contextWindow, maxOutputTokens: config.maxOutputTokens },
  };
}

/** What requests may say and be. */
export function requestRules(
  config: FrontendConfig,
): Pick<AnswerDeps, "validation" | "requestLimits" | "imageIdentity" | "hints" | "streamsForcedCalls" | "migration"> {
  return {
    migration: { limit: config.migrationLimit, sequenceMax: config.migrationMaxSeqLen },
    streamsForcedCalls: config.guidedToolStreaming,
    validation: { ignoreUnknown: config.ignoreUnsupported },
    requestLimits: {
      imagesMax: config.imagesMax,
      promptsMax: config.promptsMax,
      dataUrlLengthMax: config.dataUrlMbMax * MiB,
      allowInternalUrls: config.allowInternalUrls,
    },
    imageIdentity: config.imageIdentity,
    hints: { metadataPrefix: config.metadataPrefix, nvext: !config.disableNvext },
  };
}

/** Loads template and tokenizer of a card, from wherever its files are. */
export function textLoader(
  { modelPath, hideToolsForNone: hidesToolsForNone }: FrontendConfig,
  { log, signal, environment }: Pick<ServiceDeps, "log" | "signal" | "environment">,
): (card: ModelCard) => Promise<TextModel> {
  const source = {
    read: (file: CardFile) => readCardFile(file, { signal }),
    resolveFolder: async (nameOrPath: string) => (await resolveModel(nameOrPath, { environment, signal, log })).path,
  };
  return (card) => {
    const warn = (reason: string) => log.warn("tokenizer is slower than it could be", { model: card.display_name, reason });
    return loadCardText(card, source, { modelPath, hidesToolsForNone, warn });
  };
}

function servedPaths(config: FrontendConfig): ServedPaths {
  return {
    chat: config.chatPath,
    completions: config.completionsPath,
    embeddings: config.embeddingsPath,
    responses: config.responsesPath,
    messages: config.messagesPath,
    models: config.modelsPath,
    health: config.healthPath,
    live: config.livePath,
    metrics: config.metricsPath,
  };
}

function busyDefaults(config: FrontendConfig): BusyThresholds {
  return {
    decodeBlocks: config.activeDecodeBlocksThreshold,
    prefillTokens: config.activePrefillTokensThreshold,
    prefillTokensFrac: config.activePrefillTokensThresholdFrac,
  };
}

function watchModels(config: FrontendConfig, deps: ServiceDeps, runtime: Runtime, { models, metrics, busy }: ServerDeps): ModelWatcher {
  const loadText = textLoader(config, deps);
  const indexes = componentIndexes(config, runtime, deps);
  return new ModelWatcher(
    {
      namespaces: { exact: config.namespace, prefix: config.namespacePrefix },
      mode: config.routerMode === "kv" ? "round-robin" : config.routerMode,
      affinity: {
        ttlMs: config.sessionAffinityS === undefined ? undefined : config.sessionAffinityS * 1000,
        mode: config.sessionAffinityMode,
      },
      setAsideMs: config.inhibitedS * 1000,
    },
    {
      log: deps.log,
      clock: systemClock,
      models,
      kvOf: (address, card) => kvRouting(address, card, config, indexes),
      isBusy: (id, model, card) => busy.isBusy(id, model, card),
      discovery: runtime.discovery,
      clientOf: (address) => runtime.endpoint(address).client(),
      loadText: async ({ card }) => timedText(await loadText(card), metrics),
      served: (set) => {
        const model = { model: set.name };
        for (const parser of unknownParsers(set.card)) deps.log.warn("parser is not known; its text passes as it is", { ...model, parser });
        metrics.contextLength.set(model, set.contextLength);
        metrics.blockSize.set(model, set.card.kv_cache_block_size);
        metrics.migrationLimit.set(model, set.card.migration_limit);
      },
    },
  );
}

/** KV routing for Tokens workers, if that is the mode. */
function kvRouting(address: EndpointAddress, card: ModelCard, config: FrontendConfig, indexes: ComponentIndexes): KvRouting | undefined {
  if (config.routerMode !== "kv" || card.model_input !== "Tokens") return undefined;
  const index = indexes.of(address);
  return new KvRouting({
    card,
    loraName: loraNameOf(card),
    index,
    config: {
      overlap_score_credit: config.overlapScoreCredit,
      prefill_load_scale: config.prefillLoadScale,
      router_temperature: config.temperature,
    },
    clock: systemClock,
    random: Math.random,
    close: index.release,
  });
}

function componentIndexes(config: FrontendConfig, runtime: Runtime, { log, tracer, signal }: ServiceDeps): ComponentIndexes {
  const client = {
    deadlineMs: config.indexDeadlineMs,
    failuresMax: indexFailuresMax,
    restMs: indexRestMs,
    clock: systemClock,
    tracer,
  };
  return new ComponentIndexes(config, { runtime, log, signal, client });
}

/** A worker that falls silent is lost to the answer, not only to the transport. */
function runtimeConfig(config: FrontendConfig, service: ServiceDeps["service"]) {
  const base = runtimeConfigOf(config, service);
  const idleTimeoutMs = config.backendStreamTimeoutS > 0 ? config.backendStreamTimeoutS * 1000 : base.requestPlane.idleTimeoutMs;
  return { ...base, requestPlane: { ...base.requestPlane, idleTimeoutMs } };
}

function tlsFiles({ tlsCertPath, tlsKeyPath }: FrontendConfig): TlsFiles | undefined {
  if (tlsCertPath === undefined && tlsKeyPath === undefined) return undefined;
  if (tlsCertPath === undefined || tlsKeyPath === undefined)
    throw new AppError("configuration", "--tls-cert-path and --tls-key-path go together");
  try {
    return { cert: readFileSync(tlsCertPath, "utf8"), key: readFileSync(tlsKeyPath, "utf8") };
  } catch (cause) {
    throw new AppError("configuration", `the TLS files cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function listening(server: Server, { httpHost, httpPort }: FrontendConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const reason =
        cause.code === "EADDRINUSE"
          ? "is in use; stop what uses it or choose another with --http-port"
          : `cannot be used: ${cause.message}`;
      reject(new AppError("configuration", `${httpHost}:${httpPort} ${reason}`, { cause }));
    });
    server.listen(httpPort, httpHost, () => resolve());
  });
}
