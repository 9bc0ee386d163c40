export * from "./child.ts";
export * from "./free-port.ts";
