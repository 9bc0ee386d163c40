export * from "./annotated.ts";
export * from "./body-codec.ts";
