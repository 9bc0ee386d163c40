export * from "./decision.ts";
export * from "./degrade-reasons.ts";
