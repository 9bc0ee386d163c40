// `mmr watch`: the running system in a terminal, again every second; `--once --json` for pipes.
//
//   discovery ─▶ who is there ─▶ mmr_metrics of each mm-router and indexer ─▶ view ─▶ table, or one JSON object a line
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Component,
  type ConfigOf,
  connectRuntime,
  createLogger,
  createMetrics,
  decimal,
  field,
  fleetView,
  helpText,
  lookAtFleet,
  parseConfig,
  type Runtime,
  runtimeConfigOf,
  yesNo,
} from "@mm-router/runtime";
import { placeFields } from "../cluster/place-fields.ts";
import { watchTable } from "../watch/watch-table.ts";

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
  const scope = {
    namespace: (name: string) => name === config.namespace,
    router: ({ component }: Component) => component === config.component,
  };
  for (let before = await lookAtFleet(runtime, scope); ; ) {
    await sleep(config.intervalS * 1000, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const now = await lookAtFleet(runtime, scope);
    const view = fleetView(before, now);
    process.stdout.write(config.json ? `${JSON.stringify(view)}\n` : `${isScreen ? clearScreen : ""}${watchTable(view)}`);
    if (config.once) return;
    before = now;
  }
}
