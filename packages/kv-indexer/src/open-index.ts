// Whom a router asks what workers hold: an index that is served, or one in its own process.
//
//   served   asked, now or as soon as there is one
//   own      opened and kept
//   auto     own, unless one is served now or NATS cannot be reached
import { field, IndexerClient, type IndexEndpoints, type Logger, type Runtime, withDeadline } from "@mm-router/runtime";
import { z } from "zod";
import { KvIndexer, type KvIndexerDeps, type KvIndexerOptions } from "./kv-indexer.ts";
import { OwnIndex } from "./own-index.ts";

/** Never rejects, but for a caller that left (`client_closed`). */
export type AskedIndex = Pick<IndexerClient, "query">;

export const indexField = field(z.enum(["auto", "served", "own"]).default("auto"), {
  flag: "index",
  env: "MMR_INDEX",
  help: "who knows what workers hold: an index that is served, one in this process, or (auto) this process unless one is served at its start",
});

export interface OpenIndexOptions extends KvIndexerOptions {
  readonly index: "auto" | "served" | "own";
}

export interface OpenIndexDeps extends KvIndexerDeps {
  /** Their lists are complete. */
  readonly endpoints: IndexEndpoints;
  /** Asks them. */
  readonly client: Omit<ConstructorParameters<typeof IndexerClient>[1], "log">;
}

/** @param opened what must be closed later is put here @throws as `KvIndexer.open` */
export async function openIndex(options: OpenIndexOptions, deps: OpenIndexDeps, opened: AsyncDisposableStack): Promise<AskedIndex> {
  const { endpoints, client, log } = deps;
  const isServed = [endpoints.query, endpoints.lookup].some(({ instances }) => instances.list().length > 0);
  const keepsOwn = options.index === "own" || (options.index === "auto" && !isServed && (await isNatsThere(deps)));
  if (!keepsOwn) return new IndexerClient(endpoints, { ...client, log });
  const kvIndexer = opened.use(await KvIndexer.open(options, deps));
  log.info("keeping an index of its own", { wanted: options.index, ...options.where, ...kvIndexer.index.size });
  return new OwnIndex(kvIndexer, client.clock);
}

/** Workers ≥ 1.4 can do without, and so can a router of theirs that nobody told to keep an index. */
async function isNatsThere({ runtime, log }: { readonly runtime: Runtime; readonly log: Logger }): Promise<boolean> {
  try {
    await withDeadline(runtime.nats(), natsDeadlineMs, "connecting to NATS");
    return true;
  } catch (error) {
    log.warn("no NATS, so no index in this process: requests are routed by load until one is served", { error });
    return false;
  }
}

const natsDeadlineMs = 2_000;
