// An indexer of this process, with questions that tests ask of it, and a story that tests let a worker tell.
import { type EndpointAddress, parseJson, type RouterEvent, routerEventOf } from "@mm-router/protocol";
import { createLogger, createMetrics, parseConfig, noTracer } from "@mm-router/runtime";
import { expect } from "vitest";
import { createIndexer, type Indexer, indexerFields } from "../src/index.ts";
import type { ScriptedWorker, Servers } from "./scripted-worker.ts";

export interface TestIndexer extends AsyncDisposable {
  /** Rows `worker rank parent block tokens` of one worker, sorted. */
  blocksOf(worker: ScriptedWorker): Promise<string[]>;
  metric(name: string): Promise<number>;
  get(path: string, init?: RequestInit): Promise<{ status: number; body: any }>;
  readonly lines: readonly string[];
}

export interface TestIndexerOptions {
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export async function startTestIndexer(
  servers: Servers,
  address: EndpointAddress,
  { flags = [], environment: given = {} }: TestIndexerOptions = {},
): Promise<TestIndexer> {
  const environment = {
    NATS_SERVER: servers.nats.url,
    ETCD_ENDPOINTS: servers.etcd.url,
    DYN_TCP_RPC_HOST: "127.0.0.1",
    DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "0",
    MMR_RECOVERY_TIMEOUT_SECS: "1",
    ...given,
  };
  const argv = [
    "--namespace",
    address.namespace,
    "--component",
    address.component,
    "--http-port",
    "0",
    "--http-host",
    "127.0.0.1",
    ...flags,
  ];
  const lines: string[] = [];
  const log = createLogger({ service: "indexer", level: "debug", destination: (line) => void lines.push(line) });
  const metrics = createMetrics({ processMetrics: false });
  const service = { name: "indexer", version: "0.1.0" };
  const signal = new AbortController().signal;
  const indexer: Indexer = await createIndexer(parseConfig(indexerFields, argv, environment), {
    log,
    metrics,
    tracer: noTracer,
    signal,
    service,
    environment,
    passThrough: [],
  });
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${indexer.httpPort}${path}`, init);
    const text = await response.text();
    return { status: response.status, body: response.headers.get("content-type")?.includes("json") ? parseJson(text) : text };
  };
  return {
    get,
    lines,
    async blocksOf(worker) {
      const { body } = await get("/dump");
      const groups = Object.values(body as Record<string, { events: unknown[] }>);
      return rowsOf(groups.flatMap(({ events }) => events.map(routerEventOf)).filter(({ worker_id }) => worker_id === worker.id));
    },
    async metric(name) {
      const { body } = await get("/metrics");
      return Number(
        (body as string)
          .split("\n")
          .find((line) => line.startsWith(`${name} `))
          ?.split(" ")
          .at(-1) ?? 0,
      );
    },
    [Symbol.asyncDispose]: () => indexer.close(),
  };
}

export function rowsOf(events: Iterable<RouterEvent>): string[] {
  const rows: string[] = [];
  for (const { worker_id, event } of events) {
    if (event.data === "cleared" || !("stored" in event.data)) throw new Error("a dump holds stored events only");
    let parent = event.data.stored.parent_hash;
    for (const { block_hash, tokens_hash } of event.data.stored.blocks) {
      rows.push([worker_id, event.dp_rank, parent, block_hash, tokens_hash].map(String).join(" "));
      parent = block_hash;
    }
  }
  return rows.sort();
}

export async function expectSame(indexer: TestIndexer, worker: ScriptedWorker): Promise<void> {
  await expect.poll(() => indexer.blocksOf(worker), { timeout: 30_000, interval: 50 }).toEqual(rowsOf(worker.truth.dump()));
}

export const path = (...tokens: number[]) => tokens.map(BigInt);

export async function story(worker: ScriptedWorker): Promise<void> {
  await worker.store(path(1, 2, 3));
  await worker.store(path(1, 2, 4));
  await worker.remove(path(1, 2, 3));
  await worker.store(path(5));
}
