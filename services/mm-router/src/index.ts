export { run } from "./main.ts";
// The image tools of ./mmr ask what the service asks.
export * from "./multimodal/index.ts";
