// The view as people read it: routers, indexers, workers, a line each.
//
//   router               requests/s  running  queue  hit  available  degraded/s
//   8328741188661731593        12.0        3      0  71%        74%         0.0
import type { FleetView } from "@mm-router/runtime";

type Cell = string | number | null;

export function watchTable({ routers, indexers, workers }: FleetView): string {
  const tables = [
    table(
      ["router", "requests/s", "running", "queue", "hit", "available", "degraded/s"],
      routers.map((row) => [
        row.router_id,
        rate(row.requests_per_second),
        row.running,
        row.queue,
        percent(row.hit_rate),
        percent(row.available_rate),
        rate(row.degraded_per_second),
      ]),
      "no mm-router answers",
    ),
    table(
      ["indexer", "blocks", "events/s", "queries/s", "lag"],
      indexers.map((row) => [row.indexer_id, row.blocks, rate(row.events_per_second), rate(row.queries_per_second), row.log_lag_messages]),
      "no indexer of ours answers",
    ),
    table(
      ["worker", "rank", "release", "requests", "active blocks", "prefill tokens", "blocks held", "silent"],
      workers.map((row) => [
        row.worker_id,
        row.dp_rank,
        row.release,
        row.requests,
        row.active_blocks,
        row.prefill_tokens,
        row.blocks,
        row.silent_seconds === null ? null : `${row.silent_seconds.toFixed(0)} s`,
      ]),
      "no worker is known",
    ),
  ];
  return `${tables.join("\n\n")}\n`;
}

const rate = (perSecond: number): string => perSecond.toFixed(1);
const percent = (share: number | null): string | null => (share === null ? null : `${Math.round(share * 100)}%`);

/** The first column to the left, the others to the right; `–` where nothing is known. */
function table(head: readonly string[], rows: readonly (readonly Cell[])[], otherwise: string): string {
  if (rows.length === 0) return otherwise;
  const lines = [head, ...rows.map((row) => row.map((cell) => (cell === null ? "–" : `${cell}`)))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const padded = (cell: string, column: number): string => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!));
  return lines.map((line) => line.map(padded).join("  ").trimEnd()).join("\n");
}
