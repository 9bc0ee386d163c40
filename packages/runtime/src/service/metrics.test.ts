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

it("writes bound metrics as prom-client writes its own", async () => {
  const [library, bound] = [createMetrics({ processMetrics: false }), createMetrics({ processMetrics: false })];
  const labels = ["model", "kind"] as const;
  const buckets = [0, 0.1, 2.5, 10];
  const histogram = library.histogram("wait_seconds", "Waits", buckets, labels);
  const counter = library.counter("tokens_total", "Tokens", labels);
  const boundHistogram = bound.boundHistogram("wait_seconds", "Waits", buckets, labels);
  const boundCounter = bound.boundCounter("tokens_total", "Tokens", labels);
  for (const model of ["plain", 'a "quoted"\\name\n']) {
    const values = { model, kind: "x" };
    for (const seconds of [0, 0.1, 0.1000001, 9, 11]) {
      histogram.observe(values, seconds);
      boundHistogram.of(values).observe(seconds);
    }
    for (const tokens of [1, 7]) {
      counter.inc(values, tokens);
      boundCounter.of(values).add(tokens);
    }
  }
  expect(await bound.text()).toBe(await library.text());
});
