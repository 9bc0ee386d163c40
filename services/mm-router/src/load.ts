// What runs on the workers, as far as this router knows, and what follows from it.
//
//   own bookings ─┐
//   replicas ─────┴─▶ the books (LocalScheduler) ─▶ costs · who is busy · who has to wait · metrics
import { LocalScheduler } from "@mm-router/kv";
import type { InstanceId } from "@mm-router/protocol";
import { type Runtime, type ServiceDeps, systemClock } from "@mm-router/runtime";
import { busyThresholds, type RouterConfig, schedulerConfig } from "./config.ts";
import { loadGauges, replicaMetrics } from "./metrics.ts";
import { busyWorkers } from "./routing/busy-thresholds.ts";
import type { KvRouterDeps } from "./routing/kv-router.ts";
import { openReplicaSync } from "./routing/replica-sync.ts";
import { WaitingLine } from "./routing/waiting-line.ts";
import type { Downstream } from "./workers/downstream.ts";

export type Load = Pick<KvRouterDeps, "scheduler" | "line" | "isBusy">;

export interface LoadDeps {
  readonly runtime: Runtime;
  readonly downstream: Downstream;
  readonly deps: Pick<ServiceDeps, "log" | "metrics">;
  /** What must be closed later is put here. */
  readonly opened: AsyncDisposableStack;
}

export async function keepLoad(config: RouterConfig, parts: LoadDeps): Promise<Load> {
  const { downstream, deps } = parts;
  const scheduler = new LocalScheduler({
    blockSize: config.blockSize,
    config: schedulerConfig(config),
    now: () => systemClock.now(),
    random: Math.random,
    expiryMs: config.activeRequestExpiryS * 1000,
  });
  const load: LocalScheduler["load"] = (rank) => scheduler.load(rank);
  loadGauges(deps.metrics, () => downstream.directory.list(), load);
  if (config.replicaSync) await syncReplicas(config, scheduler, parts);
  return { scheduler, isBusy: busyWorkers(busyThresholds(config), load), line: waitingLine(config, scheduler, parts) };
}

async function syncReplicas(
  config: RouterConfig,
  scheduler: LocalScheduler,
  { runtime, downstream, deps, opened }: LoadDeps,
): Promise<void> {
  const { address, directory } = downstream;
  const options = { address, replicas: scheduler.replicas, dialectOf: (id: InstanceId) => directory.get(id)?.dialect };
  const { eventPlane, advertisedHost: host } = config;
  const way = { eventPlane, host, dialects: directory.list().map(({ dialect }) => dialect) };
  const sync = await openReplicaSync(runtime, options, way, { count: replicaMetrics(deps.metrics), log: deps.log });
  opened.defer(() => sync.close());
  scheduler.observe(sync);
}

function waitingLine({ queueThreshold }: RouterConfig, scheduler: LocalScheduler, { deps, opened }: LoadDeps): WaitingLine | undefined {
  if (queueThreshold === undefined) return undefined;
  const line = new WaitingLine({ threshold: queueThreshold }, (rank) => scheduler.load(rank), systemClock);
  opened.defer(() => line.close());
  scheduler.observe(line);
  deps.metrics.askedGauge("mm_router_waiting_requests", "Requests that wait until a worker has less to prefill", () => line.length);
  return line;
}
