// Metrics of one process: a registry of its own, so that two services in one test do not share counters.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type BoundCounter, type BoundHistogram, boundCounter, boundHistogram } from "./bound-metrics.ts";

export interface Metrics {
  /** @param labels names whose values are bounded in number */
  counter<L extends string>(name: string, help: string, labels?: readonly L[]): Counter<L>;
  gauge<L extends string>(name: string, help: string, labels?: readonly L[]): Gauge<L>;
  /** A gauge that asks for its value whenever the metrics are read; undefined: it keeps the last one. */
  askedGauge(name: string, help: string, value: () => number | undefined): void;
  /** As `askedGauge`, one value per set of labels; those that are not told any more go. */
  askedGauges<L extends string>(name: string, help: string, labels: readonly L[], values: () => Iterable<LabelledValue<L>>): void;
  /** @param buckets upper bounds in the unit that the name ends in */
  histogram<L extends string>(name: string, help: string, buckets: readonly number[], labels?: readonly L[]): Histogram<L>;
  /** A counter for what is counted per token or per request: who counts keeps `of(labels)`. */
  boundCounter<L extends string>(name: string, help: string, labels: readonly L[]): BoundCounter<L>;
  /** As `boundCounter`. @param buckets upper bounds, ascending */
  boundHistogram<L extends string>(name: string, help: string, buckets: readonly number[], labels: readonly L[]): BoundHistogram<L>;
  /** Everything in Prometheus text form, `contentType` beside it. */
  text(): Promise<string>;
  readonly contentType: string;
}

export interface LabelledValue<L extends string> {
  readonly labels: Readonly<Record<L, string>>;
  readonly value: number;
}

export interface MetricsOptions {
  /** CPU, memory, event loop, garbage collection of the process. Default true; false where several share a process. */
  readonly processMetrics?: boolean;
}

export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.processMetrics !== false) collectDefaultMetrics({ register: registry });
  return {
    counter: (name, help, labels = []) => new Counter({ name, help, labelNames: [...labels], registers }),
    gauge: (name, help, labels = []) => new Gauge({ name, help, labelNames: [...labels], registers }),
    askedGauge(name, help, value) {
      const collect = function (this: Gauge): void {
        const now = value();
        if (now !== undefined) this.set(now);
      };
      new Gauge({ name, help, registers, collect });
    },
    askedGauges(name, help, labels, values) {
      const collect = function (this: Gauge): void {
        this.reset();
        for (const told of values()) this.set(told.labels, told.value);
      };
      new Gauge({ name, help, labelNames: [...labels], registers, collect });
    },
    histogram: (name, help, buckets, labels = []) =>
      new Histogram({ name, help, buckets: [...buckets], labelNames: [...labels], registers }),
    boundCounter: (name, help, labels) => boundCounter(registry, { name, help, labels }),
    boundHistogram: (name, help, buckets, labels) => boundHistogram(registry, { name, help, buckets, labels }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
