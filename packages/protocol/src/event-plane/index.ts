export * from "./active-sequence.ts";
export * from "./envelope.ts";
export * from "./event-form.ts";
export * from "./event-message.ts";
export * from "./load.ts";
export * from "./router-event.ts";
export * from "./zmq-frames.ts";
