// Wires mm-router: what it opens, in which order, and how it leaves.
//
//   model files ─▶ runtime ─▶ workers (waits) and index ─▶ handler ─▶ explain ─▶ instance record ─▶ card
//   leaving: records, card ─▶ grace ─▶ running requests ─▶ the rest in reverse
import { setTimeout as sleep } from "node:timers/promises";
import { type AskedIndex, openIndex } from "@mm-router/kv-indexer";
import { cardKey, decisionsEndpoint, encodeCardEntry } from "@mm-router/protocol";
import {
  connectRuntime,
  type Environment,
  type Handler,
  metricsEndpoint,
  metricsHandler,
  NatsSharedCache,
  resolveModel,
  type Runtime,
  type RunningService,
  runtimeConfigOf,
  type ServiceConfig,
  type ServiceDeps,
  systemClock,
} from "@mm-router/runtime";
import { compileSooner } from "./compile-sooner.ts";
import { routerCard } from "./card.ts";
import { downstreamAddressOf, overlapOptions, ownAddress, type routerFields } from "./config.ts";
import { DecisionRing } from "./decisions/decision-ring.ts";
import { decisionsHandler } from "./decisions/decisions-handler.ts";
import { createExplainer, explainEndpoint } from "./explain.ts";
import { createHandler } from "./handler.ts";
import { imageConfigOf, sharedImageLimitsOf } from "./image-settings.ts";
import { type Load, keepLoad } from "./load.ts";
import { imageMetrics, type RouterMetrics, routerMetrics, sentinelGauges } from "./metrics.ts";
import { type ModelFiles, readModelFiles } from "./model-files.ts";
import { createImageAnalyser, egressPolicyOf, type ImageModel, readImageModel } from "./multimodal/index.ts";
import { KvRouter } from "./routing/kv-router.ts";
import { OverlapSource } from "./routing/overlap-source.ts";
import { openKvEvents, PublishedEvents } from "./routing/published-events.ts";
import { SeenBlocks } from "./routing/seen-blocks.ts";
import { Sentinel } from "./routing/sentinel.ts";
import { type Downstream, type DownstreamOptions, joinDownstream } from "./workers/downstream.ts";

export type Config = ServiceConfig<typeof routerFields>;

export interface RouterDeps extends ServiceDeps {
  readonly environment: Environment;
}

interface Model {
  /** Under which clients call it. */
  readonly name: string;
  readonly path: string;
  readonly images: ImageModel;
  readonly files: ModelFiles;
}

/** Resolves when the model can be called under our name: workers are there, instance record and card are written. */
export async function createRouter(config: Config, deps: RouterDeps): Promise<RunningService> {
  await using opened = new AsyncDisposableStack();
  const model = await readModel(config, deps);
  const metrics = routerMetrics(deps.metrics);
  const runtime = opened.adopt(await connectRuntime(runtimeConfigOf(config, deps.service), deps), (connected) => connected.close());
  const downstream = await joinDownstream(runtime, downstreamOptions(config, model, metrics), opened, deps);
  const load = await keepLoad(config, { runtime, downstream, opened, deps });
  const index = await askedIndex(config, { runtime, downstream, opened, deps });
  const handlers = routingHandlers({ config, deps, model, runtime, downstream, load, index, metrics, opened });
  const leave = await appear(runtime, handlers, { config, deps, model, downstream });
  compileSooner();
  deps.log.info("serving", { ...ownAddress(config), model: model.name, downstream: downstream.address.component });
  const rest = opened.move();
  return {
    endpoints: () => ({ [config.endpoint]: "ready" }),
    close: async () => {
      await leave();
      await rest.disposeAsync();
    },
  };
}

async function readModel(config: Config, { log, signal, environment }: RouterDeps): Promise<Model> {
  const { path } = await resolveModel(config.model, { environment, signal, log });
  const [images, files] = await Promise.all([readImageModel(path), readModelFiles(path)]);
  const { modelType } = images;
  if (modelType !== config.modelType)
    log.info("config.json, not --model-type, says what the model is", { model_type: modelType, flag: config.modelType });
  if (images.family === undefined)
    log.warn("image tokens of this model type cannot be counted: prompts match up to their first image", { model_type: modelType });
  return { name: config.servedModelName ?? config.model, path, images, files };
}

function downstreamOptions(config: Config, { name, path, images }: Model, metrics: RouterMetrics): DownstreamOptions {
  return {
    wanted: downstreamAddressOf(config),
    ownComponent: config.component,
    modelName: name,
    modelSources: [config.model, path],
    modelType: images.modelType,
    imageDialect: config.imageDialect === "auto" ? undefined : config.imageDialect,
    chunkedPrefill: config.chunkedPrefill,
    blockSize: config.blockSize,
    onWorkers: metrics.workers,
  };
}

function sentinelOf({
  config,
  deps,
  runtime,
  downstream,
  opened,
}: Pick<RoutingParts, "config" | "deps" | "runtime" | "downstream" | "opened">): Sentinel {
  const { address, directory } = downstream;
  const events = new PublishedEvents(() => openKvEvents(runtime, address), deps.log);
  opened.defer(() => events.close());
  const sentinel = new Sentinel(
    { intervalMs: config.imageCheckIntervalS * 1000 },
    {
      events,
      isLive: (id) => directory.get(id) !== undefined,
      dialects: config.imageDialect === "auto" ? directory : undefined,
      clock: systemClock,
      log: deps.log,
    },
  );
  sentinelGauges(deps.metrics, sentinel);
  return sentinel;
}

/** Where `use_kv_events` is off, nobody is asked. */
function askedIndex(
  config: Config,
  { runtime, downstream, opened, deps }: Pick<RoutingParts, "runtime" | "downstream" | "opened" | "deps">,
): Promise<AskedIndex> {
  const { namespace, component } = downstream.address;
  const client = {
    deadlineMs: config.indexDeadlineMs,
    failuresMax: config.indexFailuresMax,
    restMs: config.indexRestMs,
    clock: systemClock,
    tracer: deps.tracer,
  };
  const index = config.useKvEvents ? config.index : "served";
  return openIndex(
    { ...config, index, where: { namespace, component } },
    { ...deps, runtime, endpoints: downstream.index, client },
    opened,
  );
}

interface RoutingParts {
  readonly config: Config;
  readonly deps: RouterDeps;
  readonly model: Model;
  readonly runtime: Runtime;
  readonly downstream: Downstream;
  readonly load: Load;
  readonly index: AskedIndex;
  readonly metrics: RouterMetrics;
  readonly opened: AsyncDisposableStack;
}

interface Handlers {
  readonly generate: Handler;
  readonly explain: Handler;
  readonly decisions: Handler;
}

function routingHandlers({ config, deps, model, runtime, downstream, load, index, metrics, opened }: RoutingParts): Handlers {
  const { log, environment } = deps;
  const sharing = sharedImageLimitsOf(config, config.namespace);
  const clock = systemClock;
  const analyser = createImageAnalyser(imageConfigOf(config), {
    egress: egressPolicyOf(environment),
    log,
    metrics: imageMetrics(deps.metrics),
    shared: sharing && new NatsSharedCache(() => runtime.nats(), sharing, log),
  });
  opened.defer(() => analyser.close());
  const parts = {
    workers: downstream.directory,
    overlaps: new OverlapSource(overlapOptions(config), { index, clock }),
    scheduler: load.scheduler,
    analyser,
    model: model.images,
    blockSize: config.blockSize,
    isBusy: load.isBusy,
    // without an index what a rank holds already is not known
    sentinel: config.imageCheck && config.useKvEvents ? sentinelOf({ config, deps, runtime, downstream, opened }) : undefined,
    log,
  };
  const decisions = new DecisionRing(config.decisionsKept);
  const router = new KvRouter({ ...parts, line: load.line, onDegraded: metrics.degraded });
  const explaining = new KvRouter({ ...parts, onDegraded: () => {} }); // an explanation is no request that was routed
  return {
    generate: createHandler({ router, workers: downstream.client, metrics, clock, log, decisions, seen: new SeenBlocks() }),
    explain: createExplainer(explaining),
    decisions: decisionsHandler(decisions, config.blockSize),
  };
}

interface Presence {
  readonly config: Config;
  readonly deps: RouterDeps;
  readonly model: Model;
  readonly downstream: Downstream;
}

/** Explains, serves, publishes the card; returns how to leave: keys away, grace, running requests. */
async function appear(runtime: Runtime, handlers: Handlers, { config, deps, model, downstream }: Presence): Promise<() => Promise<void>> {
  const address = ownAddress(config);
  const { name, path: sourcePath, files } = model;
  const card = routerCard({ name, sourcePath, blockSize: config.blockSize, files, workers: downstream.cards() });
  // whoever sees the router can ask it everything
  const beside = await Promise.all([
    runtime.endpoint({ ...address, endpoint: explainEndpoint }).serve(handlers.explain),
    runtime.endpoint({ ...address, endpoint: metricsEndpoint }).serve(metricsHandler(deps.metrics)),
    runtime.endpoint({ ...address, endpoint: decisionsEndpoint }).serve(handlers.decisions),
  ]);
  const served = await runtime.endpoint(address).serve(handlers.generate);
  const registration = await runtime.discovery.register((instanceId) => ({
    key: cardKey(address, instanceId),
    value: encodeCardEntry({ address, instanceId, card }),
  }));
  const all = [served, ...beside];
  return async () => {
    await served.withdraw();
    await registration.withdraw();
    for (const told of beside) await told.withdraw();
    await sleep(config.gracePeriodS * 1000);
    await Promise.all(all.map((each) => each.drain(drainMs(config))));
  };
}

/** What is left of the shutdown deadline after the grace, and a second for closing the rest. */
function drainMs({ shutdownDeadlineS, gracePeriodS }: Config): number {
  return Math.max(0, shutdownDeadlineS - gracePeriodS - 1) * 1000;
}
