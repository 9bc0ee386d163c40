// Real workers and mockers publishing KV events, and indexers of ours above them; nothing else.
//
//   await using stack = await startIndexStack({ release: "1.6.1", requestPlane: "nats", eventPlane: "unset" });
//   const worker = await stack.worker();   const indexer = await stack.indexer(worker.component);
//   await expectSameBlocks(stack, indexer, [worker]);      block for block, as the worker's own index says
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeRunDirectory } from "@mm-router/cli/infra";
import type { Runtime } from "@mm-router/runtime";
import {
  type DynamoMocker,
  type DynamoWorker,
  type EtcdServer,
  internalModel,
  type KvEventPath,
  modelDir,
  type NatsServer,
  type OurService,
  patienceMs,
  type Place,
  projectRoot,
  type Release,
  startDynamoMocker,
  startDynamoWorker,
  startEtcd,
  startNats,
  startOurIndexer,
  type WorkerOptions,
} from "@mm-router/testkit";
import { expect } from "vitest";
import { dumpOfIndexer, dumpOfWorker } from "./index-view.ts";
import { connectTo } from "./our-client.ts";

export interface IndexStackOptions extends Pick<Place, "requestPlane" | "eventPlane"> {
  readonly release: Release;
}

export type StackIndexer = OurService & { readonly url: string };

export interface IndexStack extends AsyncDisposable {
  readonly place: Place;
  readonly nats: NatsServer;
  readonly etcd: EtcdServer;
  readonly runtime: Runtime;
  /** Start those of one component one after the other. */
  worker(options?: Pick<WorkerOptions, "engine" | "args" | "modality"> & { readonly events?: KvEventPath }): Promise<DynamoWorker>;
  mocker(options?: { readonly args?: readonly string[] }): Promise<DynamoMocker>;
  indexer(component: string, environment?: Readonly<Record<string, string>>, blockSize?: number): Promise<StackIndexer>;
}

export async function startIndexStack({ release, requestPlane, eventPlane }: IndexStackOptions): Promise<IndexStack> {
  await using started = new AsyncDisposableStack();
  const directory = makeRunDirectory(projectRoot);
  started.defer(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, "home"));
  const nats = started.use(await startNats());
  const etcd = started.use(await startEtcd());
  const place: Place = { natsUrl: nats.url, etcdUrl: etcd.url, namespace: "index", requestPlane, eventPlane, directory };
  const runtime = await connectTo(place);
  started.defer(() => runtime.close());
  const model = modelDir({ modelType: "qwen2_vl" });
  const all = started.move();
  return {
    place,
    nats,
    etcd,
    runtime,
    worker: async (options = {}) =>
      all.use(await startDynamoWorker(place, { release, model, servedName: internalModel, modality: "text", ...options })),
    mocker: async ({ args = [] } = {}) => all.use(await startDynamoMocker(place, { release, model, component: "mocker", args })),
    indexer: async (workers, environment = {}, blockSize = 32) =>
      all.use(await startOurIndexer(place, { workers, environment, blockSize })),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Waits until the index holds of these workers what each of them says it holds, and of others nothing. */
export async function expectSameBlocks(
  { runtime, place }: Pick<IndexStack, "runtime" | "place">,
  indexer: Pick<StackIndexer, "url">,
  workers: readonly { readonly component: string; readonly instanceId: bigint }[],
  timeout = patienceMs,
): Promise<number> {
  const truth = async (): Promise<Map<bigint, ReadonlySet<string>>> => {
    const dumps = await Promise.all(
      workers.map(async ({ component, instanceId }) => [instanceId, await dumpOfWorker(runtime, place, component, instanceId)] as const),
    );
    return new Map(dumps.filter((dump): dump is readonly [bigint, Set<string>] => dump[1] !== undefined && dump[1].size > 0));
  };
  await expect
    .poll(async () => differenceOf(await truth(), await dumpOfIndexer(indexer.url)), { timeout, interval: 100 })
    .toEqual({ missing: [], extra: [] });
  return [...(await truth()).values()].reduce((sum, blocks) => sum + blocks.size, 0);
}

/** Paths as `worker: path`, at most three of each kind: what a failed comparison shows. */
export function differenceOf(
  truth: ReadonlyMap<bigint, ReadonlySet<string>>,
  held: ReadonlyMap<bigint, ReadonlySet<string>>,
): { missing: string[]; extra: string[] } {
  const without = (these: ReadonlyMap<bigint, ReadonlySet<string>>, those: ReadonlyMap<bigint, ReadonlySet<string>>): string[] =>
    [...these].flatMap(([worker, paths]) => [...paths].filter((path) => !those.get(worker)?.has(path)).map((path) => `${worker}: ${path}`));
  return { missing: without(truth, held).slice(0, 3), extra: without(held, truth).slice(0, 3) };
}
