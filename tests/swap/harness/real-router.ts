// Dynamo's own KvRouter, of a release's bindings, over the workers of a place: it decides, and the test asks.
//
//   await using router = await startRealRouter(place, { release: "1.6.1", component, workers: 2, config: { use_remote_indexer: true } });
//   await router.bestWorker(tokens)      { workerId, dpRank, overlap }, without booking
import { join } from "node:path";
import { parseJson } from "@mm-router/protocol";
import { type Place, type Release, type StartedProcess, startPython, waitFor } from "@mm-router/testkit";
import { lineCallsTo } from "./line-calls.ts";

const script = join(import.meta.dirname, "../python/kv_router.py");

export interface RealRouterOptions {
  readonly release: Release;
  /** The workers' component. */
  readonly component: string;
  /** How many of them there are. */
  readonly workers: number;
  /** Of `KvRouterConfig`. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly blockSize?: number;
}

export interface Pick {
  readonly workerId: bigint;
  readonly dpRank: number;
  /** Blocks that the router believes the worker to hold. */
  readonly overlap: number;
}

export interface PotentialLoad {
  readonly workerId: bigint;
  readonly prefillTokens: number;
  readonly decodeBlocks: number;
}

export interface RealRouter extends StartedProcess {
  /**
   * @param requestId  books the request under this name, until `free`
   * @param more       further arguments of `best_worker`
   */
  bestWorker(tokens: readonly number[], requestId?: string, more?: Readonly<Record<string, unknown>>): Promise<Pick>;
  potentialLoads(tokens: readonly number[]): Promise<PotentialLoad[]>;
  /** Blocks in its index, summed over ranks. */
  blocks(): Promise<number>;
  prefillDone(requestId: string): Promise<void>;
  free(requestId: string): Promise<void>;
}

/** Resolves when the router stands and knows all workers: it chooses among those of which it knows. */
export async function startRealRouter(place: Place, options: RealRouterOptions): Promise<RealRouter> {
  const { release, component, workers, config = {}, blockSize = 32 } = options;
  const socketPath = join(place.directory, `router-${process.hrtime.bigint()}.sock`);
  const args = [script, socketPath, place.namespace, component, `${blockSize}`, JSON.stringify(config)];
  const started = await startPython(place, { name: "KvRouter", release, args });
  const ask = await lineCallsTo(socketPath, started);
  await waitFor({ what: `the KvRouter to know ${workers} workers`, child: started.child }, async () => {
    const loads = (await ask("get_potential_loads", { token_ids: [1] })) as readonly object[];
    return loads.length === workers || undefined;
  });
  return {
    ...started,
    bestWorker: async (token_ids, request_id, more = {}) => {
      const [workerId, dpRank, overlap] = (await ask("best_worker", { token_ids, request_id, ...more })) as string[];
      return { workerId: BigInt(workerId!), dpRank: Number(dpRank), overlap: Number(overlap) };
    },
    potentialLoads: async (token_ids) => {
      const loads = (await ask("get_potential_loads", { token_ids })) as Readonly<Record<string, string>>[];
      return loads.map(({ worker_id, potential_prefill_tokens, potential_decode_blocks }) => ({
        workerId: BigInt(worker_id!),
        prefillTokens: Number(potential_prefill_tokens),
        decodeBlocks: Number(potential_decode_blocks),
      }));
    },
    blocks: async () => {
      const events = parseJson((await ask("dump_events", {})) as string) as unknown as readonly {
        event: { data: { stored?: { blocks: object[] } } };
      }[];
      return events.reduce((sum, { event }) => sum + (event.data.stored?.blocks.length ?? 0), 0);
    },
    prefillDone: async (request_id) => void (await ask("mark_prefill_complete", { request_id })),
    free: async (request_id) => void (await ask("free", { request_id })),
  };
}
