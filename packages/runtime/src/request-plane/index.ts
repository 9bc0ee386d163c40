// The request plane: requests over NATS or TCP, answers over a connection that the worker opens back to the caller.
export * from "./handler.ts";
export * from "./call.ts";
export * from "./request-plane-config.ts";
export type { Answerer } from "./request-transport.ts";
export { connectNats, type NatsConnectOptions, SharedNats } from "./nats-connection.ts";
