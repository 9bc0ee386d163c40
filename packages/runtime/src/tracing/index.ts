export * from "./start-tracer.ts";
export * from "./tracer.ts";
