export * from "./cluster-view.ts";
export * from "./fleet-look.ts";
export * from "./fleet-view.ts";
export * from "./metrics-text.ts";
export * from "./process-metrics.ts";
