export * from "./decision.ts";
export * from "./degrade-reasons.ts";
export * from "./image-problem.ts";
