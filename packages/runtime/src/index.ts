// The public door of the runtime: discovery, request plane, event plane, service shell, model files.
export * from "./runtime.ts";
export * from "./endpoint.ts";
export * from "./discovery/index.ts";
export * from "./request-plane/index.ts";
export * from "./event-plane/index.ts";
export * from "./kv-index/index.ts";
export * from "./service/index.ts";
export * from "./model/index.ts";
export * from "./flow/index.ts";
export * from "./process/index.ts";
export * from "./shared-cache/index.ts";
export * from "./tracing/index.ts";
export * from "./fleet/index.ts";
