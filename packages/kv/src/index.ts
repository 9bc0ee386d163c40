// The meaning of KV blocks: hashes, the prefix index, load and choice. Pure: clock and random are arguments.
export * from "./active-sequences.ts";
export * from "./block-hash.ts";
export * from "./block-mm-info.ts";
export * from "./event-order.ts";
export * from "./kv-index.ts";
export * from "./local-scheduler.ts";
export * from "./overlap.ts";
export * from "./pad-tokens.ts";
export * from "./prediction-check.ts";
export * from "./prediction-trust.ts";
export * from "./radix-tree.ts";
export * from "./rank-map.ts";
export * from "./replica-load.ts";
export * from "./router-config.ts";
export * from "./sequence-hash.ts";
export * from "./worker-cost.ts";
export * from "./worker-selector.ts";
export { xxh3 } from "./xxh3.ts";
