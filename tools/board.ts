// The Grafana board, written from a list of questions: one panel each, its queries, its unit.
//
//   node tools/board.ts          writes deploy/observability/grafana/dashboards/mm-router.json
//
// Metric names are those of docs/operations.md; tests/e2e/observability.test.ts asks each query of a real scrape.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

interface Query {
  readonly expr: string;
  /** How Grafana names the line: text with {{label}}. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** What the reader does when it moves. */
  readonly description: string;
  /** Grafana's name of the unit. */
  readonly unit: "percentunit" | "reqps" | "short" | "s" | "bytes" | "cps";
  readonly queries: readonly Query[];
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const rate = (metric: string, by = ""): string => `sum${by && ` by (${by})`} (rate(${metric}[$__rate_interval]))`;
const quantiles = (metric: string, values: readonly number[], by = ""): Query[] =>
  values.map((value) => ({
    expr: `histogram_quantile(${value}, ${rate(`${metric}_bucket`, by === "" ? "le" : `le, ${by}`)})`,
    legend: `p${value * 100}${by && ` {{${by}}}`}`,
  }));

export const rows: readonly Row[] = [
  {
    title: "What clients see",
    panels: [
      {
        title: "Requests",
        description: "Finished requests by how they ended. Errors: error_type says whose they are.",
        unit: "reqps",
        queries: [{ expr: rate("dynamo_frontend_requests_total", "status, error_type"), legend: "{{status}} {{error_type}}" }],
      },
      {
        title: "In flight",
        description: "Waiting rises without running: workers are full or gone.",
        unit: "short",
        queries: [
          { expr: "sum(dynamo_frontend_inflight_requests)", legend: "running" },
          { expr: "sum(dynamo_frontend_queued_requests)", legend: "waiting for their first token" },
        ],
      },
      {
        title: "Tokens per second",
        description: "Of all answers.",
        unit: "cps",
        queries: [{ expr: rate("dynamo_frontend_output_tokens_total", "model"), legend: "{{model}}" }],
      },
      {
        title: "Time to first token",
        description: "Falls when prefixes are found: compare with the hit rate below.",
        unit: "s",
        queries: quantiles("dynamo_frontend_time_to_first_token_seconds", [0.5, 0.95]),
      },
      {
        title: "Time between tokens",
        description: "The workers' pace.",
        unit: "s",
        queries: quantiles("dynamo_frontend_inter_token_latency_seconds", [0.5, 0.95]),
      },
    ],
  },
  {
    title: "What the router finds",
    panels: [
      {
        title: "Hit rate",
        description: "Blocks of prompts that a worker held: the best one, the chosen one. The gap is given up for load.",
        unit: "percentunit",
        queries: [
          { expr: `${rate("mm_router_available_blocks_total")} / ${rate("mm_router_blocks_total")}`, legend: "available" },
          { expr: `${rate("mm_router_overlap_blocks_total")} / ${rate("mm_router_blocks_total")}`, legend: "captured" },
        ],
      },
      {
        title: "Delivered tokens",
        description:
          "Prompt tokens that workers say they had cached. Far below captured blocks × block size: the index believes what is gone.",
        unit: "cps",
        queries: [{ expr: rate("mm_router_delivered_tokens_total"), legend: "delivered" }],
      },
      {
        title: "How sure decisions are",
        description: "Degraded and fallback: the next panel says why.",
        unit: "reqps",
        queries: [{ expr: rate("mm_router_decisions_total", "quality"), legend: "{{quality}}" }],
      },
      {
        title: "Degraded by reason",
        description: "docs/errors.md has the remedy for each.",
        unit: "reqps",
        queries: [{ expr: rate("mm_router_degraded_total", "reason"), legend: "{{reason}}" }],
      },
      {
        title: "Predicted against published blocks of images",
        description: "Anything but exact: docs/operations.md, When predictions are wrong.",
        unit: "short",
        queries: [{ expr: "sum by (verdict, image_dialect) (mm_router_image_predictions)", legend: "{{image_dialect}} {{verdict}}" }],
      },
      {
        title: "Workers",
        description: "Live ones, and those whose images are routed by their text alone.",
        unit: "short",
        queries: [
          { expr: "max(mm_router_workers)", legend: "live" },
          { expr: "max(mm_router_distrusted_workers)", legend: "distrusted" },
        ],
      },
    ],
  },
  {
    title: "What routing costs",
    panels: [
      {
        title: "Time to a decision",
        description: "Text above a few ms: the index is slow. Images: download and decode.",
        unit: "s",
        queries: quantiles("mm_router_routing_seconds", [0.5, 0.99]),
      },
      {
        title: "Images by where they came from",
        description: "http is a download; cache, shared, unchanged and data are cheap.",
        unit: "reqps",
        queries: [{ expr: rate("mm_router_image_load_seconds_count", "from, outcome"), legend: "{{from}} {{outcome}}" }],
      },
      {
        title: "Not taken",
        description: "Requests that a worker did not take and that went to the next one: overload, or a host that is gone.",
        unit: "reqps",
        queries: [{ expr: rate("mm_router_retries_total"), legend: "retries" }],
      },
    ],
  },
  {
    title: "What the index knows",
    panels: [
      {
        title: "Blocks",
        description: "Held by all ranks. Falls with a worker, comes back with its recovery.",
        unit: "short",
        queries: [{ expr: "max(mm_router_indexer_blocks)", legend: "blocks" }],
      },
      {
        title: "Events",
        description: "By what became of them.",
        unit: "cps",
        queries: [{ expr: rate("mm_router_indexer_events_total", "outcome"), legend: "{{outcome}}" }],
      },
      {
        title: "Age",
        description: "Silence: no worker has told anything for so long. Lag: messages stored and not applied.",
        unit: "short",
        queries: [
          { expr: "max(mm_router_indexer_silence_seconds)", legend: "silence, seconds" },
          { expr: "max(mm_router_indexer_log_lag_messages)", legend: "lag, messages" },
        ],
      },
      {
        title: "Recoveries",
        description: "Events were missing. no_target: blocks of a rank were dropped.",
        unit: "cps",
        queries: [{ expr: rate("mm_router_indexer_recoveries_total", "reason, outcome"), legend: "{{reason}} {{outcome}}" }],
      },
      {
        title: "Time per query",
        description: "Of the index itself.",
        unit: "s",
        queries: quantiles("mm_router_indexer_query_seconds", [0.5, 0.99]),
      },
    ],
  },
  {
    title: "Processes",
    panels: [
      {
        title: "CPU",
        description: "Cores. A service that stays at 1 wants a replica.",
        unit: "short",
        queries: [{ expr: rate("process_cpu_seconds_total", "job, instance"), legend: "{{job}} {{instance}}" }],
      },
      {
        title: "Memory",
        description: "Resident.",
        unit: "bytes",
        queries: [{ expr: "sum by (job, instance) (process_resident_memory_bytes)", legend: "{{job}} {{instance}}" }],
      },
      {
        title: "Event loop",
        description: "p99 of how late the loop is; tens of ms delay every stream of the process.",
        unit: "s",
        queries: [{ expr: "max by (job, instance) (nodejs_eventloop_lag_p99_seconds)", legend: "{{job}} {{instance}}" }],
      },
    ],
  },
];

const width = 8;
const height = 8;
const columns = 24;

/** The board as Grafana imports it; panels three to a line, a line's title above each row. */
export function boardJson(): string {
  const panels: object[] = [];
  let y = 0;
  for (const { title, panels: asked } of rows) {
    panels.push({ id: panels.length + 1, type: "row", title, collapsed: false, panels: [], gridPos: { h: 1, w: columns, x: 0, y: y++ } });
    asked.forEach((panel, index) => {
      const gridPos = { h: height, w: width, x: (index * width) % columns, y: y + height * Math.floor((index * width) / columns) };
      panels.push({ id: panels.length + 1, ...graphOf(panel), gridPos });
    });
    y += height * Math.ceil((asked.length * width) / columns);
  }
  const board = {
    uid: "mm-router",
    title: "mm-router",
    tags: ["mm-router", "dynamo"],
    schemaVersion: 39,
    refresh: "10s",
    time: { from: "now-30m", to: "now" },
    templating: { list: [{ name: "datasource", label: "Prometheus", type: "datasource", query: "prometheus" }] },
    panels,
  };
  return `${JSON.stringify(board, null, 2)}\n`;
}

function graphOf({ title, description, unit, queries }: Panel): object {
  return {
    type: "timeseries",
    title,
    description,
    datasource: { type: "prometheus", uid: "${datasource}" },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    targets: queries.map(({ expr, legend }, index) => ({ refId: String.fromCharCode(65 + index), expr, legendFormat: legend })),
  };
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, "..", "deploy", "observability", "grafana", "dashboards", "mm-router.json"), boardJson());
}
