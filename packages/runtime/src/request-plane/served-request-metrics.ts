// Counters of a served endpoint, under the names and labels of Dynamo's workers (1.x, dashboards read them).
import type { AppError, EndpointAddress } from "@mm-router/protocol";
import type { Metrics } from "../service/index.ts";

const labels = ["dynamo_namespace", "dynamo_component", "dynamo_endpoint"] as const;

/** Bookkeeping of one request: call `started` when it is taken, the function it returns when it is answered. */
export interface ServedRequestMetrics {
  started(): (failure?: AppError) => void;
}

/** The metrics of all endpoints of a process: one registration of each name. */
export function servedRequestMetrics(metrics: Metrics): (address: EndpointAddress) => ServedRequestMetrics {
  const requests = metrics.boundCounter("dynamo_component_requests_total", "Requests taken by this endpoint", labels);
  const running = new Map<string, { readonly labels: Record<(typeof labels)[number], string>; value: number }>();
  metrics.askedGauges("dynamo_component_inflight_requests", "Requests in progress in this endpoint", labels, () => running.values());
  const errors = metrics.counter("dynamo_component_errors_total", "Requests that ended with an error, by its code", [
    ...labels,
    "error_type",
  ]);
  const cancelled = metrics.counter("dynamo_component_cancellation_total", "Requests whose caller left before the end", labels);
  const seconds = metrics.boundHistogram(
    "dynamo_component_request_duration_seconds",
    "From taking a request to the end of its stream",
    DURATION_BUCKETS_S,
    labels,
  );
  return (address) => {
    const own = { dynamo_namespace: address.namespace, dynamo_component: address.component, dynamo_endpoint: address.endpoint };
    const ownRequests = requests.of(own);
    const ownSeconds = seconds.of(own);
    const name = Object.values(own).join("/");
    const inflight = running.get(name) ?? { labels: own, value: 0 };
    running.set(name, inflight);
    return {
      started() {
        const startedAt = performance.now();
        ownRequests.add(1);
        inflight.value++;
        return (failure) => {
          ownSeconds.observe((performance.now() - startedAt) / 1000);
          inflight.value--;
          if (failure?.code === "client_closed") cancelled.inc(own);
          else if (failure) errors.inc({ ...own, error_type: failure.code });
        };
      },
    };
  };
}

const DURATION_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100];
