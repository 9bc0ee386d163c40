export * from "./lookup.ts";
export * from "./query.ts";
export * from "./recovery.ts";
