import { createMetrics } from "../service/index.ts";
import { expect, it } from "vitest";
import { samplesOf, sumOf } from "./metrics-text.ts";

it("reads what our own metrics write, labels and all", async () => {
  const metrics = createMetrics({ processMetrics: false });
  metrics.counter("requests_total", "Requests", ["outcome", "by"]).inc({ outcome: 'a "b" \\ c', by: "x\ny" }, 3);
  metrics.counter("requests_more_total", "Others").inc(5);
  metrics.gauge("load", "Load").set(0.25);
  const samples = samplesOf(await metrics.text());
  expect(samples).toEqual([
    { name: "requests_total", labels: { outcome: 'a "b" \\ c', by: "x\ny" }, value: 3 },
    { name: "requests_more_total", labels: {}, value: 5 },
    { name: "load", labels: {}, value: 0.25 },
  ]);
});

it("sums over labels that are not asked for", () => {
  const samples = samplesOf('n{a="1",b="1"} 1\nn{a="1",b="2"} 2\nn{a="2",b="1"} 4\nm 8\n# HELP n x\nnonsense');
  expect([sumOf(samples, "n"), sumOf(samples, "n", { a: "1" }), sumOf(samples, "n", { a: "2", b: "2" })]).toEqual([7, 3, 0]);
});
