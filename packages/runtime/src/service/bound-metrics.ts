// Counters and histograms for what is counted per token: their labels are looked up once, not at every count.
//
//   metric ── of(labels), once ──▶ its cell ── add / observe, per token ──▶ read when the metrics are asked for
//
// prom-client spells the labels out as text at every observation, which took a seventh of the frontend's time per token
// (bench/relay). A registry asks its metrics for values by `get`, and that is all that these give it.
import type { Counter, Histogram, Registry } from "prom-client";

export type LabelValues<L extends string> = Readonly<Record<L, string>>;

export interface BoundCounter<L extends string> {
  /** The counter of these label values; keep it. */
  of(labels: LabelValues<L>): { add(count: number): void };
}

export interface BoundHistogram<L extends string> {
  /** The histogram of these label values; keep it. */
  of(labels: LabelValues<L>): { observe(value: number): void };
}

export interface BoundMetricOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly L[];
}

/** A sample of Prometheus' text form. */
interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function boundCounter<L extends string>(registry: Registry, options: BoundMetricOptions<L>): BoundCounter<L> {
  const cells = new Cells(options.labels, () => {
    let value = 0;
    return {
      add: (count: number) => void (value += count),
      samples: (labels) => [{ metricName: options.name, labels, value }],
    };
  });
  register(registry, options, "counter", cells);
  return cells;
}

/** @param buckets upper bounds, ascending */
export function boundHistogram<L extends string>(
  registry: Registry,
  options: BoundMetricOptions<L> & { readonly buckets: readonly number[] },
): BoundHistogram<L> {
  const cells = new Cells(options.labels, () => new HistogramCell(options.name, options.buckets));
  register(registry, options, "histogram", cells);
  return cells;
}

interface Cell {
  samples(labels: LabelValues<string>): readonly Sample[];
}

class HistogramCell implements Cell {
  private readonly name: string;
  private readonly buckets: readonly number[];
  /** Per bucket, not cumulated; the last one is +Inf. */
  private readonly counts: Float64Array;
  private sum = 0;

  constructor(name: string, buckets: readonly number[]) {
    this.name = name;
    this.buckets = buckets;
    this.counts = new Float64Array(buckets.length + 1);
  }

  observe(value: number): void {
    const { buckets, counts } = this;
    let at = 0;
    while (at < buckets.length && value > buckets[at]!) at++;
    counts[at]!++;
    this.sum += value;
  }

  samples(labels: LabelValues<string>): Sample[] {
    let count = 0;
    const buckets = Array.from(this.counts, (own, at) => {
      count += own;
      return { metricName: `${this.name}_bucket`, labels: { le: `${this.buckets[at] ?? "+Inf"}`, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: this.sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }
}

class Cells<L extends string, C extends Cell> {
  private readonly names: readonly L[];
  private readonly create: () => C;
  private readonly byLabels = new Map<string, { readonly labels: LabelValues<L>; readonly cell: C }>();

  constructor(names: readonly L[], create: () => C) {
    this.names = names;
    this.create = create;
  }

  of(labels: LabelValues<L>): C {
    const key = JSON.stringify(this.names.map((name) => labels[name]));
    const known = this.byLabels.get(key);
    if (known !== undefined) return known.cell;
    const cell = this.create();
    this.byLabels.set(key, { labels, cell });
    return cell;
  }

  samples(): Sample[] {
    return Array.from(this.byLabels.values(), ({ labels, cell }) => cell.samples(labels)).flat();
  }
}

function register(
  registry: Registry,
  { name, help }: BoundMetricOptions<string>,
  type: "counter" | "histogram",
  cells: Cells<string, Cell>,
): void {
  const metric = {
    name,
    help,
    type,
    aggregator: "sum",
    get: async () => ({ name, help, type, aggregator: "sum", values: cells.samples() }),
  };
  // its class is not looked at, but TypeScript knows prom-client's own metrics only
  registry.registerMetric(metric as unknown as Counter | Histogram);
}
