// An endpoint, from both sides: serve it, or call its instances.
import type { EndpointAddress, Instance, InstanceId } from "@mm-router/protocol";
import type { Call, ResponseStream } from "./request-plane/call.ts";
import type { Handler } from "./request-plane/handler.ts";
import type { Answerer } from "./request-plane/request-transport.ts";

export interface ServeOptions {
  /** Codec to advertise in the instance record; both are understood. Default: none, callers then send JSON. */
  readonly advertisedCodec?: "json";
}

export interface Endpoint {
  readonly address: EndpointAddress;
  /** Listens or subscribes first, then puts the instance key; after a lost lease it does both again under the new id. */
  serve(handler: Handler, options?: ServeOptions): Promise<ServedEndpoint>;
  /** Serves questions that are answered in their acknowledgement (ours alone; request-transport.ts). */
  serveAnswers(answerer: Answerer): Promise<ServedEndpoint>;
  /** Follows the endpoint's instances from now on. */
  client(): EndpointClient;
}

export interface ServedEndpoint {
  readonly address: EndpointAddress;
  readonly instanceId: InstanceId;
  /** Takes the instance key away; requests that still come are served. */
  withdraw(): Promise<void>;
  /** Takes no more requests, waits for the running ones; after `deadlineMs` ends the rest without `complete_final`. */
  drain(deadlineMs: number): Promise<void>;
}

export interface EndpointClient {
  readonly address: EndpointAddress;
  readonly instances: InstanceSet;
  /** Resolves after the first complete list from discovery. */
  ready(): Promise<void>;
  /** Calls one instance, also one that is set aside. Rejects with `no_instances` when it is unknown. */
  direct(instanceId: InstanceId, call: Call): Promise<ResponseStream>;
  /** Calls the next instance in the order of ids; a request that is not taken goes to the one after it. */
  roundRobin(call: Call): Promise<ResponseStream>;
  /** Calls a random instance; a request that is not taken goes to another. */
  random(call: Call): Promise<ResponseStream>;
  /** Asks the next instance that answers in its acknowledgement (`serveAnswers`); one that is not there is passed over. */
  ask(question: Buffer): Promise<Buffer>;
  close(): void;
}

/** Live instances of one endpoint, sorted by id. */
export interface InstanceSet {
  list(): readonly Instance[];
  get(instanceId: InstanceId): Instance | undefined;
  /** Those that are not set aside; all of them when every one is. */
  available(): readonly Instance[];
  /** Does not choose the instance for a while after a failure to connect. */
  setAside(instanceId: InstanceId, durationMs?: number): void;
  /** Fires after instances came, changed or went; not for setAside. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}
