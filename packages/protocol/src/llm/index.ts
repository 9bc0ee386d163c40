export * from "./preprocessed-request.ts";
export * from "./engine-output.ts";
export * from "./finish-reason.ts";
export * from "./token-ids.ts";
