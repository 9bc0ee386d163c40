export {
  bridgeSubject,
  type CapturedComponent,
  type CaptureLimits,
  capturePublisher,
  captureStreamName,
  ensureCaptureStream,
  kvEventSubjects,
} from "./capture-stream.ts";
export * from "./core-source.ts";
export * from "./event-source.ts";
export * from "./jetstream-source.ts";
export * from "./publisher.ts";
export * from "./snapshot-store.ts";
export { isSubjectTaken } from "./stream-errors.ts";
export * from "./zmq-bridge.ts";
export * from "./zmq-channels.ts";
export * from "./zmq-publisher.ts";
export * from "./zmq-source.ts";
export { ZmqSubscription } from "./zmq-subscription.ts";
