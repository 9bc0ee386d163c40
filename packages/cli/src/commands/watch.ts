// `mmr watch`: the running system in a terminal, again every second; `--once --json` for pipes.
//
//   discovery ─▶ who is there ─▶ mmr_metrics of each mm-router and indexer ─▶ view ─▶ table, or one JSON object a line
import { setTimeout as sleep } from "node:timers/promises";
import { indexQueryEndpoint } from "@mm-router/protocol";
import {
  type ConfigOf,
  connectRuntime,
  createLogger,
  createMetrics,
  decimal,
  field,
  helpText,
  listedKeys,
  parseConfig,
  type Runtime,
  runtimeConfigOf,
  yesNo,
} from "@mm-router/runtime";
import { placeFields } from "../cluster/place-fields.ts";
import { processMetrics } from "../cluster/process-metrics.ts";
import { clusterView, membersOf } from "../doctor/cluster-view.ts";
import { watchTable } from "../watch/watch-table.ts";
import { type Look, watchView } from "../watch/watch-view.ts";

const fields = {
  ...placeFields,
  intervalS: field(decimal(0.1).default(1), { flag: "interval", unit: "seconds", help: "time between two looks, and what rates are over" }),
  once: field(yesNo.default(false), { flag: "once", help: "show one view and end" }),
  json: field(yesNo.default(false), { flag: "json", help: "one JSON object per view instead of tables" }),
};

type WatchConfig = ConfigOf<typeof fields>;

const clearScreen = "\u001b[H\u001b[2J";

export async function run(argv: readonly string[]): Promise<number> {
  if (argv.includes("--help")) {
    process.stdout.write(helpText("mmr watch [flags]", fields));
    return 0;
  }
  const config = parseConfig(fields, argv, process.env);
  const log = createLogger({ service: "watch", level: "error" });
  const runtime = await connectRuntime(runtimeConfigOf(config, { name: "watch", version: "0" }), {
    log,
    metrics: createMetrics({ processMetrics: false }),
  });
  const stopping = new AbortController();
  process.once("SIGINT", () => stopping.abort());
  try {
    await show(runtime, config, stopping.signal);
  } finally {
    await runtime.close();
  }
  return 0;
}

async function show(runtime: Runtime, config: WatchConfig, signal: AbortSignal): Promise<void> {
  const isScreen = process.stdout.isTTY && !config.once && !config.json;
  for (let before = await look(runtime, config); ; ) {
    await sleep(config.intervalS * 1000, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const now = await look(runtime, config);
    const view = watchView(before, now);
    process.stdout.write(config.json ? `${JSON.stringify(view)}\n` : `${isScreen ? clearScreen : ""}${watchTable(view)}`);
    if (config.once) return;
    before = now;
  }
}

async function look(runtime: Runtime, { namespace, component }: WatchConfig): Promise<Look> {
  const view = clusterView(await listedKeys(runtime.discovery, "v1/"));
  const served = view.instances.filter(({ address }) => address.namespace === namespace && address.endpoint === indexQueryEndpoint);
  const components = [...new Set(served.map(({ address }) => address.component))];
  const [routers, ...indexers] = await Promise.all(
    [component, ...components].map((each) => processMetrics(runtime, { namespace, component: each })),
  );
  const members = membersOf(view).filter(({ instance }) => instance.address.namespace === namespace);
  return {
    atMs: performance.now(),
    routers: routers!,
    indexers: indexers.flat(),
    workers: new Map(members.map(({ instance, release }) => [`${instance.instanceId}`, release])),
  };
}
