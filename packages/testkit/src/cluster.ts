// A whole system in one call: NATS, etcd, workers, indexer, routers, frontends; any member ours or Dynamo's.
//
//   await using system = await cluster({ requestPlane: "tcp", workers: { release: "1.6.1" }, indexer: true, routers: 1,
//                                        frontends: ["ours", "1.6.1"] });
//   client ─► frontends[0] ─► routers ─► workers            public name: "model"
//   client ─► frontends[0] ─────────────► workers           their own name: "model__internal"
//
// Ready in the end are all; ended in the reverse order. Everything has its own servers and its own namespace.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeRunDirectory } from "@mm-router/cli/infra";
import {
  type DynamoMocker,
  type DynamoWorker,
  type HttpFrontend,
  type Place,
  type Release,
  type RequestPlane,
  type StartedProcess,
  startDynamoFrontend,
  startDynamoMocker,
  startDynamoWorker,
  untilListed,
  untilServed,
  type WorkerOptions,
} from "./dynamo.ts";
import { factsOf } from "./dynamo-release.ts";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "./infra.ts";
import { modelDir, type ModelType } from "./model-dir.ts";
import {
  type OurService,
  type OurProcess,
  startOurFrontend,
  startOurIndexer,
  startOurRouter,
  startSimulatedProcess,
} from "./our-process.ts";
import { projectRoot } from "./project-root.ts";

export interface ClusterWorkers extends Pick<WorkerOptions, "args" | "events" | "engine" | "modality" | "pythonWithTorch"> {
  /** Of real workers; without it they are simulated. */
  readonly release?: Release;
  /** Default 2. */
  readonly count?: number;
  readonly component?: string;
  /** Starts workers of another kind than real `dynamo.trtllm` or simulated; resolves when they are registered. */
  readonly start?: (place: Place, served: ServedWorkers) => Promise<readonly StartedProcess[]>;
}

export type ServedWorkers = Required<Pick<WorkerOptions, "model" | "servedName" | "component" | "blockSize">>;

export interface ClusterOptions {
  readonly requestPlane?: RequestPlane;
  readonly eventPlane?: Place["eventPlane"];
  readonly modelType?: ModelType;
  /** Model folder, instead of the one that `modelType` names. */
  readonly model?: string;
  readonly blockSize?: number;
  readonly workers: ClusterWorkers;
  readonly indexer?: boolean;
  /** Replicas of our mm-router. Default 0. */
  readonly routers?: number;
  readonly routerArgs?: readonly string[];
  readonly frontends?: readonly ("ours" | Release)[];
  /** Release of a mocker, in a namespace of its own: the frontends have no part in it. */
  readonly mocker?: Release;
  /** Further variables of every process of ours. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** The name that the routers serve, and the one that the workers do. */
export const publicModel = "model";
export const internalModel = "model__internal";

export interface Cluster extends AsyncDisposable {
  readonly place: Place;
  readonly nats: NatsServer;
  readonly etcd: EtcdServer;
  readonly model: string;
  /** The workers' component. */
  readonly component: string;
  /** Real ones; empty when they are simulated. */
  readonly workers: readonly DynamoWorker[];
  readonly simulatedWorkers: readonly OurService[];
  readonly indexer: (OurService & { readonly url: string }) | undefined;
  readonly routers: readonly OurService[];
  readonly mocker: DynamoMocker | undefined;
  /** In the order asked for; each lists the names that are served. */
  readonly frontends: readonly (HttpFrontend | (HttpFrontend & OurProcess))[];
}

export async function cluster(options: ClusterOptions): Promise<Cluster> {
  await using started = new AsyncDisposableStack();
  const directory = makeRunDirectory(projectRoot);
  started.defer(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, "home"));
  const nats = started.use(await startNats());
  const etcd = started.use(await startEtcd());
  const { requestPlane = "nats", eventPlane = "nats", blockSize = 32, environment = {} } = options;
  const place: Place = { natsUrl: nats.url, etcdUrl: etcd.url, namespace: "cell", requestPlane, eventPlane, directory };
  const model = options.model ?? modelDir({ modelType: options.modelType ?? "qwen2_vl" });
  const component = options.workers.component ?? defaultComponent(options.workers.release);
  const served = { model, servedName: internalModel, component, blockSize };

  // Python needs seconds of one core to start, and these do not need each other.
  const [workers, frontends, mocker] = await allSettled([
    startWorkers(place, { served, environment }, options.workers, started),
    Promise.all((options.frontends ?? []).map(async (kind) => started.use(await startFrontend(place, kind, environment)))),
    options.mocker &&
      startDynamoMocker(
        { ...place, namespace: `${place.namespace}-mocker` },
        { release: options.mocker, model, component: "mocker", blockSize },
      ),
  ]);
  if (mocker !== undefined) started.use(mocker);
  const indexer =
    options.indexer === true ? started.use(await startOurIndexer(place, { workers: component, blockSize, environment })) : undefined;
  const routers: OurService[] = [];
  for (let i = 0; i < (options.routers ?? 0); i++) {
    const routerOptions = { model, servedName: publicModel, workers: component, blockSize, args: options.routerArgs ?? [], environment };
    routers.push(started.use(await startOurRouter(place, routerOptions)));
  }
  const callable = routers.length > 0 ? publicModel : internalModel;
  await Promise.all(frontends.map((frontend) => ("statusUrl" in frontend ? untilListed : untilServed)(frontend, callable)));

  const all = started.move();
  const dispose = (): Promise<void> => all.disposeAsync();
  return { place, nats, etcd, model, component, ...workers, mocker, indexer, routers, frontends, [Symbol.asyncDispose]: dispose };
}

type StartedWorkers = Pick<Cluster, "workers" | "simulatedWorkers">;

/** One after the other: a new id in etcd is that of the one just started. */
async function startWorkers(
  place: Place,
  { served, environment }: { readonly served: ServedWorkers; readonly environment: Readonly<Record<string, string>> },
  { release, count = 2, component: _component, start, ...options }: ClusterWorkers,
  started: AsyncDisposableStack,
): Promise<StartedWorkers> {
  const workers: DynamoWorker[] = [];
  const simulatedWorkers: OurService[] = [];
  if (start !== undefined) {
    for (const worker of await start(place, served)) started.use(worker);
    return { workers, simulatedWorkers };
  }
  for (let i = 0; i < count; i++) {
    if (release === undefined)
      simulatedWorkers.push(started.use(await startSimulatedProcess(place, { ...served, ...options, environment })));
    else workers.push(started.use(await startDynamoWorker(place, { ...served, ...options, release })));
  }
  return { workers, simulatedWorkers };
}

const startFrontend = (place: Place, kind: "ours" | Release, environment: Readonly<Record<string, string>>): Promise<HttpFrontend> =>
  kind === "ours" ? startOurFrontend(place, { environment }) : startDynamoFrontend(place, { release: kind });

/** As `Promise.all`, but nothing is still starting when it throws. */
async function allSettled<T extends readonly unknown[]>(starting: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(starting);
  return Promise.all(starting);
}

const defaultComponent = (release: Release | undefined): string => (release === undefined ? "backend" : factsOf(release).defaultComponent);
