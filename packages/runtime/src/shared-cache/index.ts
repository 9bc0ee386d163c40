export * from "./nats-shared-cache.ts";
export * from "./shared-cache.ts";
