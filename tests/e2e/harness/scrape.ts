// What Prometheus would know after one scrape of every process, and which of it a query selects.
import { parser } from "@prometheus-io/lezer-promql";

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
}

/** The samples of one process, with the labels that Prometheus adds. */
export async function scrape(job: string, url: string): Promise<Sample[]> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  const lines = (await answer.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const [, name, labels = ""] = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line)!;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label!, value!] as const);
    return { name: name!, labels: new Map([...pairs, ["job", job], ["instance", new URL(url).host]]) };
  });
}

export interface Asked {
  /** Metrics that the query reads. */
  readonly metrics: readonly string[];
  /** Labels that it groups by. */
  readonly grouping: readonly string[];
}

/**
 * What a query asks for, by Prometheus' own grammar.
 *
 * @throws Error where it is no PromQL
 */
export function askedBy(query: string): Asked {
  const metrics: string[] = [];
  const grouping: string[] = [];
  const plain = query.replaceAll("$__rate_interval", "1m"); // Grafana's own, put in before it asks
  parser.parse(plain).iterate({
    enter({ type, name, from, to, node }) {
      if (type.isError) throw new Error(`no PromQL at ${from}: ${query}`);
      const text = plain.slice(from, to);
      if (name === "Identifier" && node.parent?.name === "VectorSelector") metrics.push(text);
      if (name === "LabelName" && node.parent?.name === "GroupingLabels") grouping.push(text);
    },
  });
  return { metrics, grouping };
}
