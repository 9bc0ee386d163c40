export * from "./degrade-reasons.ts";
