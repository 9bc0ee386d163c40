// What an index and the workers themselves say about stored blocks, in a form that can be compared.
//
//   events ─► { worker ─► set of paths }        path = tokens hashes from the root to the block, joined
import { decodeRecoveryAnswer, encodeRecoveryQuery, type InstanceId, parseJson, type RouterEvent } from "@mm-router/protocol";
import type { Runtime } from "@mm-router/runtime";
import { etcdEntries, type Place, waitFor } from "@mm-router/testkit";
import { askOnce } from "./our-client.ts";

export type Paths = ReadonlySet<string>;

interface StoredEvent {
  readonly worker_id: number | bigint;
  readonly event: Pick<RouterEvent["event"], "data">;
}

/** Paths per worker id that the events of a dump describe; parents come before children. A dump of 1.6.1 may hold removals, too (seen after evictions). */
export function pathsOf(events: readonly StoredEvent[]): Map<bigint, Set<string>> {
  const pathOfBlock = new Map<string, string>();
  const paths = new Map<bigint, Set<string>>();
  for (const { worker_id, event } of events) {
    if (event.data === "cleared") throw new Error("a dump clears nothing");
    const worker = BigInt(worker_id);
    const own = paths.get(worker) ?? new Set<string>();
    paths.set(worker, own);
    if ("removed" in event.data) {
      for (const hash of event.data.removed.block_hashes) own.delete(pathOfBlock.get(`${worker}:${BigInt(hash)}`) ?? "");
      continue;
    }
    const { parent_hash, blocks } = event.data.stored;
    let path = parent_hash === null ? "" : pathOfBlock.get(`${worker}:${BigInt(parent_hash)}`);
    for (const { block_hash, tokens_hash } of blocks) {
      if (path === undefined) throw new Error(`block ${block_hash} of worker ${worker} comes before its parent`);
      path = `${path}/${BigInt(tokens_hash)}`;
      pathOfBlock.set(`${worker}:${BigInt(block_hash)}`, path);
      own.add(path);
    }
  }
  return paths;
}

/** The index's own dump, over HTTP. */
export async function dumpOfIndexer(url: string): Promise<Map<bigint, Set<string>>> {
  const answer = await fetch(`${url}/dump`, { signal: AbortSignal.timeout(5_000) });
  const groups = parseJson(await answer.text()) as unknown as Record<string, { events: StoredEvent[] }>;
  return pathsOf(Object.values(groups).flatMap(({ events }) => events));
}

/** Blocks that the index holds, over all workers. */
export async function blocksIn(indexerUrl: string): Promise<number> {
  const paths = await dumpOfIndexer(indexerUrl);
  return [...paths.values()].reduce((sum, own) => sum + own.size, 0);
}

/** Waits until the index holds at least so many blocks. */
export async function untilIndexed(indexerUrl: string, blocks: number): Promise<void> {
  await waitFor({ what: `our index to hold ${blocks} blocks` }, async () => (await blocksIn(indexerUrl)) >= blocks || undefined);
}

/** What a real worker tells about its own blocks; undefined where it has no recovery endpoint. */
export async function dumpOfWorker(runtime: Runtime, place: Place, component: string, workerId: bigint): Promise<Paths | undefined> {
  const [endpoint] = await recoveryEndpoints(place, component, workerId);
  if (endpoint === undefined) return undefined;
  const query = encodeRecoveryQuery("json", { worker: { workerId: workerId as InstanceId, dpRank: 0 }, start: null, end: null });
  const answer = decodeRecoveryAnswer("json", await askOnce(runtime, place, { component, endpoint, instanceId: workerId }, query));
  if (answer.kind !== "dump") throw new Error(`worker ${workerId} answered ${answer.kind}`);
  return pathsOf(answer.events).get(workerId) ?? new Set();
}

async function recoveryEndpoints(place: Place, component: string, workerId: bigint): Promise<string[]> {
  const prefix = `v1/instances/${place.namespace}/${component}/`;
  const entries = await etcdEntries(place.etcdUrl, prefix);
  const named = entries.map(({ key }) => key.slice(prefix.length).split("/"));
  return named.flatMap(([endpoint, id]) => (endpoint!.startsWith("worker_kv_") && BigInt(`0x${id}`) === workerId ? [endpoint!] : []));
}
