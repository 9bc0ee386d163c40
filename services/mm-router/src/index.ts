export { run } from "./main.ts";
export { decodeExplanation, explainEndpoint, type ExplainedKind, type Explanation } from "./explain.ts";
// The image tools of ./mmr ask what the service asks.
export * from "./multimodal/index.ts";
