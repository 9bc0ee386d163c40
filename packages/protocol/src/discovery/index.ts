export * from "./instance.ts";
export * from "./model-card.ts";
