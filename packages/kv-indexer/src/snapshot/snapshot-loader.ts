// The index as the last snapshot has it. A snapshot that is torn, damaged, another component's or of another form is as good as none: the
// stream is replayed and the workers are asked, as without.
import { RadixTree, RankMap } from "@mm-router/kv";
import { AppError, toAppError, type WorkerKey } from "@mm-router/protocol";
import type { CapturedComponent, Logger, StreamPosition } from "@mm-router/runtime";
import type { IndexerMetrics } from "../metrics.ts";
import { decodeSnapshot, type RankState } from "./snapshot-form.ts";

/** Nobody else knows this index yet. */
export interface LoadedIndex {
  readonly index: RadixTree;
  /** What is not named begins at its beginning. */
  readonly positions: readonly StreamPosition[];
  /** The ranks that hold something, whether their workers still live or not. */
  readonly ranks: readonly RankState[];
}

export interface LoaderDeps {
  readonly metrics: IndexerMetrics;
  readonly log: Logger;
}

/** What is needed of a snapshot store. */
export interface ReadableSnapshots {
  read(): Promise<AsyncIterable<Uint8Array> | undefined>;
}

/** Another indexer may replace the object while it is read. */
const attempts = 2;

/** Never rejects for what is in the store, or not. */
export async function loadSnapshot(
  store: ReadableSnapshots | undefined,
  where: CapturedComponent,
  options: { readonly entriesMax: number },
  { metrics, log }: LoaderDeps,
): Promise<LoadedIndex> {
  for (let attempt = 1; store !== undefined && attempt <= attempts; attempt++) {
    try {
      const chunks = await store.read();
      if (chunks === undefined) break;
      const loaded = await indexFrom(chunks, where, new RadixTree(options));
      metrics.snapshot("restored");
      log.info("index restored from its snapshot", { ...loaded.index.size, positions: loaded.positions });
      return loaded;
    } catch (error) {
      metrics.snapshot("ignored");
      log.warn("snapshot is not usable, the index is built without it", { attempt, reason: toAppError(error).message, error });
    }
  }
  return { index: new RadixTree(options), positions: [], ranks: [] };
}

async function indexFrom(chunks: AsyncIterable<Uint8Array>, where: CapturedComponent, index: RadixTree): Promise<LoadedIndex> {
  const frames = decodeSnapshot(chunks);
  const first = await frames.next();
  if (first.done === true || first.value.kind !== "head") throw new AppError("protocol_error", "a snapshot without a head");
  const { positions, namespace, component } = first.value.head;
  if (namespace !== where.namespace || component !== where.component) {
    throw new AppError("protocol_error", `a snapshot of ${namespace}/${component}`);
  }
  const restore = index.restore();
  const unfinished = new RankMap<WorkerKey>();
  let image: ReturnType<typeof restore.rank> | undefined;
  let ranks: readonly RankState[] | undefined;
  for await (const frame of frames) {
    if (ranks !== undefined || frame.kind === "head") throw new AppError("protocol_error", "a snapshot with surplus frames");
    if (frame.kind === "foot") ranks = frame.ranks;
    else if (frame.kind === "rank") image = restore.rank(frame.worker, frame.entries);
    else if (image === undefined) throw new AppError("protocol_error", "blocks of no rank");
    else image.take(frame.words);
    if (frame.kind === "rank") unfinished.set(frame.worker, frame.worker);
  }
  if (ranks === undefined) throw new AppError("protocol_error", "a snapshot without a foot");
  restore.done();
  for (const { worker } of ranks) unfinished.delete(worker);
  for (const worker of unfinished.values()) index.removeRank(worker);
  return { index, positions, ranks };
}
