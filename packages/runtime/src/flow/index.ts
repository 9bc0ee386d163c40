export * from "./backoff.ts";
export * from "./bounded-queue.ts";
export * from "./breaker.ts";
export * from "./clock.ts";
export * from "./deadline.ts";
export * from "./lru.ts";
export * from "./one-per-turn.ts";
export * from "./pause.ts";
