import type { InstanceId } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import type { Look } from "./fleet-look.ts";
import { fleetView } from "./fleet-view.ts";
import { samplesOf } from "./metrics-text.ts";

const processOf = (id: bigint, text: string) => ({ instanceId: id as InstanceId, samples: samplesOf(text) });

const routerText = (requests: number, asked: number, held: number, more = "") => `mm_router_requests_total{outcome="ended"} ${requests - 1}
mm_router_requests_total{outcome="refused"} 1
mm_router_blocks_total ${asked}
mm_router_overlap_blocks_total ${held}
mm_router_available_blocks_total ${held + 10}
mm_router_degraded_total{reason="index-late"} 4
dynamo_component_inflight_requests{dynamo_endpoint="generate"} 3
dynamo_component_inflight_requests{dynamo_endpoint="explain"} 9
mm_router_active_requests{worker_id="71",dp_rank="0"} 2
mm_router_active_requests{worker_id="71",dp_rank="1"} 0
mm_router_active_blocks{worker_id="71",dp_rank="0"} 40
mm_router_active_prefill_tokens{worker_id="71",dp_rank="0"} 512
${more}`;

const indexerText = (events: number) => `mm_router_indexer_blocks 900
mm_router_indexer_events_total{outcome="applied"} ${events}
mm_router_indexer_rank_blocks{worker_id="71",dp_rank="0"} 900
mm_router_indexer_rank_silence_seconds{worker_id="71",dp_rank="0"} 2.5
mm_router_indexer_log_lag_messages 6`;

const lookAt = (atMs: number, routers: string[], indexers: string[]): Look => ({
  atMs,
  routers: routers.map((text, n) => processOf(BigInt(n + 1), text)),
  indexers: indexers.map((text, n) => processOf(BigInt(n + 50), text)),
  workers: new Map([["71", "1.6"]]),
});

describe("fleetView", () => {
  const view = fleetView(
    lookAt(1_000, [routerText(10, 1_000, 500)], [indexerText(100)]),
    lookAt(3_000, [routerText(30, 1_100, 575)], [indexerText(400)]),
  );

  it("tells rates over the time between two looks, and gauges as they are now", () => {
    expect(view.routers).toEqual([
      { router_id: "1", requests_per_second: 10, running: 3, queue: 0, hit_rate: 0.75, available_rate: 0.75, degraded_per_second: 0 },
    ]);
    expect(view.indexers).toEqual([{ indexer_id: "50", blocks: 900, events_per_second: 150, queries_per_second: 0, log_lag_messages: 6 }]);
  });

  it("has a row for each rank, with what is not known as null", () => {
    const rank = { worker_id: "71", release: "1.6" };
    expect(view.workers).toEqual([
      { ...rank, dp_rank: 0, requests: 2, active_blocks: 40, prefill_tokens: 512, blocks: 900, silent_seconds: 2.5 },
      { ...rank, dp_rank: 1, requests: 0, active_blocks: 0, prefill_tokens: 0, blocks: null, silent_seconds: null },
    ]);
  });

  it("knows no hit rate where nothing was asked, and starts a new process at 0", () => {
    const [row] = fleetView(lookAt(0, [], []), lookAt(1_000, [routerText(3, 0, 0)], [])).routers;
    expect(row).toMatchObject({ requests_per_second: 3, hit_rate: null });
  });

  it("adds up what routers have running, unless they tell each other", () => {
    const requestsOf = (more: string) =>
      fleetView(lookAt(0, [], []), lookAt(1, [routerText(1, 0, 0, more), routerText(1, 0, 0, more)], [])).workers[0]?.requests;
    expect(requestsOf("")).toBe(4);
    expect(requestsOf('mm_router_replica_events_total{outcome="applied"} 1')).toBe(2);
  });
});
