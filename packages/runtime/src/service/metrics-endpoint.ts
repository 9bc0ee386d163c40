// A process's metrics over the request plane, for tools that know discovery and no ports: what /metrics says, as one item.
//
//   mmr doctor, mmr watch ──▶ {component}.mmr_metrics of each instance ──▶ {"data":{"text":"…"}}
import type { Handler } from "../request-plane/index.ts";
import type { Metrics } from "./metrics.ts";

/** Beside a service's own endpoint; no release has one of this name. */
export const metricsEndpoint = "mmr_metrics";

export function metricsHandler(metrics: Pick<Metrics, "text">): Handler {
  return async (_request, sink) => sink.item({ data: { text: await metrics.text() } });
}
