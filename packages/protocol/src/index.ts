// The public door of the wire protocol, grouped by plane.
export * from "./u64.ts";
export * from "./ids.ts";
export * from "./json.ts";
export * from "./json-splice.ts";
export * from "./msgpack.ts";
export * from "./errors.ts";
export * from "./schema.ts";
export * from "./names.ts";
export * from "./dialect.ts";
export * from "./discovery/index.ts";
export * from "./request-plane/index.ts";
export * from "./event-plane/index.ts";
export * from "./llm/index.ts";
export * from "./indexer/index.ts";
export * from "./routing/index.ts";
