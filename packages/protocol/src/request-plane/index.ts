export * from "./two-part.ts";
export * from "./control.ts";
export * from "./call-home.ts";
export * from "./tcp-frame.ts";
export * from "./body-codec.ts";
export * from "./annotated.ts";
export * from "./worker-error.ts";
