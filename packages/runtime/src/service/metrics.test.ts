import { expect, it } from "vitest";
import { createMetrics } from "./metrics.ts";

it("writes what was counted in Prometheus text form", async () => {
  const metrics = createMetrics({ processMetrics: false });
  metrics.counter("mm_router_degraded_total", "Requests routed with less than everything known.", ["reason"]).inc({ reason: "slow" }, 2);
  metrics.gauge("mm_router_workers", "Workers known.").set(3);
  metrics.histogram("mm_router_wait_seconds", "Waits.", [0.1, 1]).observe(0.5);
  const lines = (await metrics.text()).split("\n");
  expect(lines).toContain("# HELP mm_router_degraded_total Requests routed with less than everything known.");
  expect(lines).toContain("# TYPE mm_router_degraded_total counter");
  expect(lines).toContain('mm_router_degraded_total{reason="slow"} 2');
  expect(lines).toContain("mm_router_workers 3");
  expect(lines).toContain('mm_router_wait_seconds_bucket{le="0.1"} 0');
  expect(lines).toContain('mm_router_wait_seconds_bucket{le="1"} 1');
  expect(lines).toContain("mm_router_wait_seconds_sum 0.5");
});

it("keeps two services in one process apart", async () => {
  const [one, other] = [createMetrics({ processMetrics: false }), createMetrics({ processMetrics: false })];
  one.counter("requests_total", "Requests.").inc();
  other.counter("requests_total", "Requests.").inc(5);
  expect(await one.text()).toContain("requests_total 1\n");
  expect(await other.text()).toContain("requests_total 5\n");
});

it("tells about the process unless told not to", async () => {
  expect(await createMetrics().text()).toContain("process_resident_memory_bytes");
  expect(await createMetrics({ processMetrics: false }).text()).not.toContain("process_");
});
