// The running system in rows, from two looks at the metrics of our processes: what `mmr watch` and the page show. Pure.
//
//   routers ─┐ counters now − counters before, per second ──▶ requests, hit rate, events
//   indexers ┴ gauges now ─────────────────────────────────▶ blocks, load, queue, how old the knowledge is
//
// Members of the view are the keys of `mmr watch --json`; rates are null where nothing was counted in between.
import type { Look } from "./fleet-look.ts";
import type { IndexerRow, RouterRow, WorkerRow } from "./fleet-rows.ts";
import { type Sample, sumOf } from "./metrics-text.ts";
import type { ProcessMetrics } from "./process-metrics.ts";

export interface FleetView {
  readonly routers: readonly RouterRow[];
  readonly indexers: readonly IndexerRow[];
  readonly workers: readonly WorkerRow[];
}

export function fleetView(before: Look, now: Look): FleetView {
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1000);
  return {
    routers: now.routers.map((router) => routerRow(router, changeSince(before.routers, router), seconds)),
    indexers: now.indexers.map((indexer) => indexerRow(indexer, changeSince(before.indexers, indexer), seconds)),
    workers: workerRows(now),
  };
}

/** By how much a counter of a process grew; one that started in between counts from 0. */
type Change = (name: string) => number;

function changeSince(before: readonly ProcessMetrics[], { instanceId, samples }: ProcessMetrics): Change {
  const old = before.find((each) => each.instanceId === instanceId)?.samples ?? [];
  return (name) => Math.max(0, sumOf(samples, name) - sumOf(old, name));
}

function routerRow({ instanceId, samples }: ProcessMetrics, change: Change, seconds: number): RouterRow {
  const asked = change("mm_router_blocks_total");
  const share = (name: string): number | null => (asked === 0 ? null : change(name) / asked);
  return {
    router_id: `${instanceId}`,
    requests_per_second: change("mm_router_requests_total") / seconds,
    running: sumOf(samples, "dynamo_component_inflight_requests", { dynamo_endpoint: "generate" }),
    queue: sumOf(samples, "mm_router_waiting_requests"),
    hit_rate: share("mm_router_overlap_blocks_total"),
    available_rate: share("mm_router_available_blocks_total"),
    degraded_per_second: change("mm_router_degraded_total") / seconds,
  };
}

function indexerRow({ instanceId, samples }: ProcessMetrics, change: Change, seconds: number): IndexerRow {
  return {
    indexer_id: `${instanceId}`,
    blocks: sumOf(samples, "mm_router_indexer_blocks"),
    events_per_second: change("mm_router_indexer_events_total") / seconds,
    queries_per_second: change("mm_router_indexer_queries_total") / seconds,
    log_lag_messages: sumOf(samples, "mm_router_indexer_log_lag_messages"),
  };
}

/** One per rank that a router knows, or an indexer. */
function workerRows({ routers, indexers, workers }: Look): WorkerRow[] {
  const told = [...routers, ...indexers].flatMap(({ samples }) => samples.filter(isOfRank));
  const ranks = Map.groupBy(told, ({ labels }) => `${labels["worker_id"]} ${labels["dp_rank"]}`);
  const rows = Array.from(ranks.values(), ([first]) => first!.labels as { worker_id: string; dp_rank: string });
  // routers that tell each other count each request, others only their own
  const merged = routers.some(({ samples }) => samples.some(({ name }) => name === "mm_router_replica_events_total")) ? Math.max : sum;
  return rows
    .map(({ worker_id, dp_rank }) => {
      const load = (name: string): number => merged(0, ...routers.map(({ samples }) => sumOf(samples, name, { worker_id, dp_rank })));
      return {
        worker_id,
        dp_rank: Number(dp_rank),
        release: workers.get(worker_id) ?? null,
        requests: load("mm_router_active_requests"),
        active_blocks: load("mm_router_active_blocks"),
        prefill_tokens: load("mm_router_active_prefill_tokens"),
        blocks: gaugeOf(indexers, "mm_router_indexer_rank_blocks", { worker_id, dp_rank }, Math.max),
        silent_seconds: gaugeOf(indexers, "mm_router_indexer_rank_silence_seconds", { worker_id, dp_rank }, Math.min),
      };
    })
    .sort((a, b) => (a.worker_id === b.worker_id ? a.dp_rank - b.dp_rank : a.worker_id < b.worker_id ? -1 : 1));
}

const rankGauges: ReadonlySet<string> = new Set(["mm_router_active_requests", "mm_router_indexer_rank_blocks"]);
const isOfRank = ({ name }: Sample): boolean => rankGauges.has(name);
const sum = (...values: number[]): number => values.reduce((total, value) => total + value, 0);

function gaugeOf(
  processes: readonly ProcessMetrics[],
  name: string,
  labels: Readonly<Record<string, string>>,
  merge: (...values: number[]) => number,
): number | null {
  const wanted = Object.entries(labels);
  const isWanted = (sample: Sample): boolean => sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value);
  const values = processes.flatMap(({ samples }) => samples.filter(isWanted).map(({ value }) => value));
  return values.length === 0 ? null : merge(...values);
}
