export * from "./query.ts";
export * from "./recovery.ts";
