import type { CardEntry, Instance, InstanceId } from "@mm-router/protocol";
import { type FleetLook, type ProcessMetrics, samplesOf } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import type { Moment } from "./fleet-watch.ts";
import { overviewOf } from "./overview.ts";

const facts = { version: "1", chatPath: "/v1/chat/completions", metricsPrefix: "dynamo_frontend", models: [] };
const routerId = 5n as InstanceId;
const workerId = 71n as InstanceId;

const processOf = (instanceId: bigint, text: string): ProcessMetrics => ({
  instanceId: instanceId as InstanceId,
  samples: samplesOf(text),
});

function recordsOf(
  ...served: readonly { readonly id: InstanceId; readonly component: string; readonly name: string; readonly blocks?: number }[]
) {
  const address = (component: string) => ({ namespace: "default", component, endpoint: "generate" });
  const transport = { kind: "nats", subject: "x" } as const;
  const instances = served.map(({ id, component }): Instance => ({ address: address(component), instanceId: id, transport }) as Instance);
  const cards = served.map(({ id, component, name, blocks }) => {
    const card = { display_name: name, kv_cache_block_size: 32, runtime_config: { total_kv_blocks: blocks ?? null } };
    return { address: address(component), instanceId: id, card } as unknown as CardEntry;
  });
  return { instances, cards, channels: [], unreadable: [] };
}

function momentOf(atMs: number, { router, indexer, own = "" }: { router?: string; indexer?: string; own?: string }): Moment {
  const records = recordsOf(
    { id: routerId, component: "mm_router", name: "m" },
    { id: workerId, component: "backend", name: "m__internal", blocks: 1_000 },
  );
  const fleet: FleetLook = {
    atMs,
    routers: router === undefined ? [] : [processOf(routerId, router)],
    indexers: indexer === undefined ? [] : [processOf(9n, indexer)],
    workers: new Map([
      ["5", "1.4"],
      ["71", "1.6"],
    ]),
    records,
  };
  return { fleet, own: samplesOf(own) };
}

const rank = `worker_id="71",dp_rank="0"`;

describe("the overview", () => {
  it("tells hits in blocks, what workers say in tokens too", () => {
    const router = `mm_router_blocks_total 100
mm_router_attainable_blocks_total 90
mm_router_available_blocks_total 80
mm_router_overlap_blocks_total 70
mm_router_delivered_tokens_total 2080`;
    const now = momentOf(0, { router });
    expect(overviewOf({ before: now, now }, facts).hits).toEqual({
      asked: 100,
      attainable: 90,
      available: 80,
      captured: 70,
      delivered: 65,
    });
  });

  it("tells this frontend's rates over the time between two looks, and 0 at the first", () => {
    const own = (tokens: number) =>
      `dynamo_frontend_output_tokens_total{model="m"} ${tokens}\ndynamo_frontend_active_requests{model="m"} 3`;
    const [before, now] = [momentOf(1_000, { own: own(100) }), momentOf(3_000, { own: own(500) })];
    expect(overviewOf({ before, now }, facts).frontend).toMatchObject({ running: 3, tokens_total: 500, tokens_per_second: 200 });
    expect(overviewOf({ before: now, now }, facts).frontend.tokens_per_second).toBe(0);
  });

  it("names the reasons that happened, the most frequent first, each with what to do; one of a newer router without", () => {
    const router = `mm_router_degraded_total{reason="index-late"} 2
mm_router_degraded_total{reason="toString"} 5
mm_router_degraded_total{reason="busy"} 0`;
    const now = momentOf(0, { router });
    const rows = overviewOf({ before: now, now }, facts).degraded;
    expect(rows.map(({ reason, total }) => [reason, total])).toEqual([
      ["toString", 5],
      ["index-late", 2],
    ]);
    expect(rows[0]?.meaning).toBe("");
    expect(rows[1]?.meaning).toMatch(/overloaded/);
  });

  it("has a worker's card beside what routers and indexers know of its rank", () => {
    const router = `mm_router_active_requests{${rank}} 2`;
    const indexer = `mm_router_indexer_rank_blocks{${rank}} 400
mm_router_indexer_rank_shared_blocks{${rank}} 100
mm_router_indexer_blocks_by_holders{holders="1"} 300
mm_router_indexer_blocks_by_holders{holders="2"} 50`;
    const now = momentOf(0, { router, indexer });
    const { workers, cache } = overviewOf({ before: now, now }, facts);
    expect(workers).toMatchObject([
      {
        worker_id: "71",
        model: "m__internal",
        capacity_blocks: 1_000,
        blocks: 400,
        shared_blocks: 100,
        requests: 2,
        health: { state: "ok", text: "working" },
      },
    ]);
    expect(cache).toEqual({ distinct_blocks: 350, copies: [300, 50] });
  });

  it("shows workers that no router and no index knows, with what that means", () => {
    const now = momentOf(0, { router: "mm_router_requests_total 1", indexer: "mm_router_indexer_blocks 0" });
    const healthOf = (moment: Moment) =>
      overviewOf({ before: moment, now: moment }, facts).workers.map(({ worker_id, health }) => [worker_id, health.text]);
    expect(healthOf(now)).toEqual([["71", "no mm-router routes to it"]]);
    const routed = momentOf(0, { router: `mm_router_active_requests{${rank}} 0`, indexer: "mm_router_indexer_blocks 0" });
    expect(healthOf(routed)[0]?.[1]).toMatch(/index does not know it/);
  });

  it("warns of a worker that works without an event, and of one whose images are not as predicted", () => {
    const healthOf = (router: string) => {
      const indexer = `mm_router_indexer_rank_blocks{${rank}} 4\nmm_router_indexer_rank_silence_seconds{${rank}} 60`;
      const now = momentOf(0, { router, indexer });
      return overviewOf({ before: now, now }, facts).workers[0]?.health;
    };
    expect(healthOf(`mm_router_active_requests{${rank}} 0`)).toEqual({ state: "ok", text: "idle" });
    expect(healthOf(`mm_router_active_requests{${rank}} 2`)).toMatchObject({
      state: "warning",
      text: expect.stringContaining("no KV events") as string,
    });
    const differs = `mm_router_active_requests{${rank}} 0\nmm_router_image_predictions{worker_id="71",image_dialect="pad",verdict="different"} 3`;
    expect(healthOf(differs)).toMatchObject({ state: "warning", text: expect.stringContaining("than predicted") as string });
  });
});
