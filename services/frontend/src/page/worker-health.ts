// What is wrong with a worker as far as our processes can see it, and what to do: the doctor's eye for one rank.
import { type FleetLook, type FleetView, sumOf } from "@mm-router/runtime";
import type { WorkerHealth } from "./overview-shape.ts";

/** A rank that works this long without an event does not publish. */
const silentSecondsMax = 30;

type Row = FleetView["workers"][number];

export function workerHealth(row: Row, { routers, indexers }: FleetLook): WorkerHealth {
  if (!routers.some(({ samples }) => samples.some(({ labels }) => labels["worker_id"] === row.worker_id)) && routers.length > 0)
    return { state: "note", text: "no mm-router routes to it" };
  if (indexers.length > 0 && row.blocks === null)
    return { state: "warning", text: "the index does not know it: it needs the component of these workers" };
  if (differsOnly(row, routers)) return { state: "warning", text: "publishes other blocks than predicted for images: see mmr doctor" };
  if (row.requests > 0 && (row.silent_seconds ?? 0) > silentSecondsMax)
    return { state: "warning", text: "works and tells no KV events: are they enabled, do they arrive?" };
  return { state: "ok", text: row.requests > 0 ? "working" : "idle" };
}

/** Images were compared, and the last tallies say that more differ than fit. */
function differsOnly({ worker_id }: Row, routers: FleetLook["routers"]): boolean {
  const verdicts = (verdict: string) =>
    routers.reduce((sum, { samples }) => sum + sumOf(samples, "mm_router_image_predictions", { worker_id, verdict }), 0);
  return verdicts("different") > verdicts("exact");
}
