export * from "./child.ts";
