// What the launcher tells Prometheus about its workers.
import type { Metrics } from "@mm-router/runtime";
import type { WorkerState } from "./worker-supervisor.ts";

/** Returns a function that takes each new state of a worker. */
export function launcherMetrics(metrics: Metrics): (state: WorkerState) => void {
  const up = metrics.gauge("mm_router_launcher_process_up", "1 while the worker is ready", ["process"]);
  const restarts = metrics.gauge("mm_router_launcher_process_restarts", "how often the worker was started again", ["process"]);
  const exitCode = metrics.gauge("mm_router_launcher_process_exit_code", "code of the last exit, -1 for a signal", ["process"]);
  return ({ name, phase, restarts: count, lastExitCode }) => {
    up.set({ process: name }, phase === "ready" ? 1 : 0);
    restarts.set({ process: name }, count);
    if (lastExitCode !== undefined) exitCode.set({ process: name }, lastExitCode ?? -1);
  };
}
