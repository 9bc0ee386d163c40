export * from "./cluster-view.ts";
export * from "./fleet-look.ts";
export type * from "./fleet-rows.ts";
export * from "./fleet-view.ts";
export * from "./metrics-text.ts";
export * from "./process-metrics.ts";
