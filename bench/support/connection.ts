// The door of every bench, and of its processes, to the running system.
import { connectRuntime, createLogger, createMetrics, parseConfig, type Runtime, runtimeConfigOf, runtimeFields } from "@mm-router/runtime";

export function connectTo(environment: Readonly<Record<string, string | undefined>>, name = "bench"): Promise<Runtime> {
  return connectRuntime(runtimeConfigOf(parseConfig(runtimeFields, [], environment), { name, version: "0" }), {
    log: createLogger({ service: name, level: "warn" }),
    metrics: createMetrics({ processMetrics: false }),
  });
}
