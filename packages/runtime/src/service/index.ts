export * from "./config.ts";
export * from "./log.ts";
export * from "./metrics.ts";
export * from "./nearest-name.ts";
export * from "./package-version.ts";
export * from "./run-service.ts";
export * from "./runtime-fields.ts";
export * from "./status-server.ts";
