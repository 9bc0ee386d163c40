export * from "./event-channel.ts";
export * from "./instance.ts";
export * from "./model-card.ts";
