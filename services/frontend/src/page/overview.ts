// What the page shows of the running system, as one JSON object. Pure: two moments in, one view out.
//
// Counters go out as totals and, where a rate is shown, as that too: the page draws its own history from the totals.
// Everything that somebody else named (models, components) is text for the page to escape.
import { degradeReasons } from "@mm-router/protocol";
import { type FleetView, fleetView, type Member, membersOf, type ProcessMetrics, sumOf } from "@mm-router/runtime";
import type { Moment } from "./fleet-watch.ts";
import type { CacheSpread, DegradedRow, FrontendRow, HitBlocks, ModelRow, Overview, PageWorker } from "./overview-shape.ts";
import { workerHealth } from "./worker-health.ts";

export interface OwnFacts {
  readonly version: string;
  readonly chatPath: string;
  readonly metricsPrefix: string;
  readonly models: readonly ModelRow[];
}

export function overviewOf({ before, now }: { readonly before: Moment; readonly now: Moment }, own: OwnFacts): Overview {
  const { routers, indexers, workers } = fleetView(before.fleet, now.fleet);
  return {
    version: own.version,
    chat_path: own.chatPath,
    models: own.models,
    frontend: frontendRow(before, now, own.metricsPrefix),
    hits: hitBlocks(now),
    routers,
    indexers,
    workers: pageWorkers(workers, now),
    degraded: degradedRows(before, now),
    cache: cacheSpread(now),
  };
}

function frontendRow(before: Moment, now: Moment, prefix: string): FrontendRow {
  const name = (rest: string) => `${prefix}_${rest}`;
  const total = (rest: string, labels = {}) => sumOf(now.own, name(rest), labels);
  const rate = (rest: string) => perSecond(before, now, total(rest) - sumOf(before.own, name(rest)));
  return {
    running: total("active_requests"),
    requests_total: total("requests_total"),
    errors_total: total("requests_total", { status: "error" }),
    tokens_total: total("output_tokens_total"),
    requests_per_second: rate("requests_total"),
    tokens_per_second: rate("output_tokens_total"),
  };
}

function perSecond(before: Moment, now: Moment, change: number): number {
  const seconds = (now.fleet.atMs - before.fleet.atMs) / 1000;
  return seconds <= 0 ? 0 : Math.max(0, change) / seconds;
}

function hitBlocks({ fleet }: Moment): HitBlocks {
  const blocks = (name: string) => total(fleet.routers, name);
  const delivered = fleet.routers.map(({ instanceId, samples }) => {
    const size = fleet.records.cards.find((entry) => entry.instanceId === instanceId)?.card.kv_cache_block_size;
    return size === undefined ? 0 : sumOf(samples, "mm_router_delivered_tokens_total") / size;
  });
  return {
    asked: blocks("mm_router_blocks_total"),
    attainable: blocks("mm_router_attainable_blocks_total"),
    available: blocks("mm_router_available_blocks_total"),
    captured: blocks("mm_router_overlap_blocks_total"),
    delivered: Math.round(delivered.reduce((sum, each) => sum + each, 0)),
  };
}

function total(processes: readonly ProcessMetrics[], name: string, labels: Readonly<Record<string, string>> = {}): number {
  return processes.reduce((sum, { samples }) => sum + sumOf(samples, name, labels), 0);
}

/** Every rank that somebody knows, and workers that stand in etcd while no router or indexer knows of them. */
function pageWorkers(rows: FleetView["workers"], { fleet }: Moment): PageWorker[] {
  const routers = new Set(fleet.routers.map(({ instanceId }) => instanceId));
  const members = membersOf(fleet.records).filter(({ instance }) => fleet.workers.has(`${instance.instanceId}`));
  const byId = new Map(
    members.filter(({ instance }) => !routers.has(instance.instanceId)).map((each) => [`${each.instance.instanceId}`, each]),
  );
  const known = new Set(rows.map(({ worker_id }) => worker_id));
  const unknown = [...byId].filter(([id]) => !known.has(id)).map(([id, { release }]) => unknownRank(id, release));
  const shared = (row: FleetView["workers"][number]) =>
    row.blocks === null
      ? null
      : total(fleet.indexers.slice(0, 1), "mm_router_indexer_rank_shared_blocks", { worker_id: row.worker_id, dp_rank: `${row.dp_rank}` });
  return [...rows, ...unknown].map((row) => ({
    ...row,
    ...memberFacts(byId.get(row.worker_id)),
    shared_blocks: shared(row),
    health: workerHealth(row, fleet),
  }));
}

function unknownRank(worker_id: string, release: string): FleetView["workers"][number] {
  return { worker_id, dp_rank: 0, release, requests: 0, active_blocks: 0, prefill_tokens: 0, blocks: null, silent_seconds: null };
}

function memberFacts(member: Member | undefined): Pick<PageWorker, "model" | "place" | "capacity_blocks"> {
  if (member === undefined) return { model: null, place: null, capacity_blocks: null };
  const { namespace, component } = member.entry.address;
  const { display_name: model, runtime_config: runtime } = member.entry.card;
  return { model, place: `${namespace}/${component}`, capacity_blocks: runtime?.total_kv_blocks ?? null };
}

/** Those that happened, the most frequent first. */
function degradedRows(before: Moment, now: Moment): DegradedRow[] {
  const name = "mm_router_degraded_total";
  const reasons = new Set(
    now.fleet.routers.flatMap(({ samples }) => samples.flatMap((s) => (s.name === name ? [s.labels["reason"] ?? ""] : []))),
  );
  const rows = Array.from(reasons, (reason) => {
    const count = total(now.fleet.routers, name, { reason });
    const change = count - total(before.fleet.routers, name, { reason });
    return { reason, meaning: meaningOf(reason), total: count, per_second: perSecond(before, now, change) };
  });
  return rows.filter((row) => row.total > 0).sort((a, b) => b.total - a.total);
}

/** A router of another version may have a reason more. */
function meaningOf(reason: string): string {
  return Object.hasOwn(degradeReasons, reason) ? degradeReasons[reason as keyof typeof degradeReasons] : "";
}

/** Of the first indexer: each holds the same. */
function cacheSpread({ fleet }: Moment): CacheSpread {
  const samples = fleet.indexers[0]?.samples ?? [];
  const copies = samples.filter(({ name }) => name === "mm_router_indexer_blocks_by_holders");
  const inOrder = copies.toSorted((a, b) => Number(a.labels["holders"]) - Number(b.labels["holders"]));
  return { distinct_blocks: sumOf(samples, "mm_router_indexer_blocks_by_holders"), copies: inOrder.map(({ value }) => value) };
}
