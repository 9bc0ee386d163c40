// An endpoint, from both sides: serve it, or call its instances.
import type { EndpointAddress, Instance, InstanceId } from "@mm-router/protocol";
import type { Discovery } from "./discovery/index.ts";
import { WatchedEndpointClient } from "./endpoint-client.ts";
import type { Call, ResponseStream } from "./request-plane/call.ts";
import type { Handler } from "./request-plane/handler.ts";
import type { RequestClient } from "./request-plane/request-client.ts";
import type { RequestPlaneConfig } from "./request-plane/request-plane-config.ts";
import type { RequestListener } from "./request-plane/request-transport.ts";
import { ServedHandler } from "./request-plane/served-handler.ts";
import type { ServedRequestMetrics } from "./request-plane/served-request-metrics.ts";
import { RegisteredEndpoint } from "./served-endpoint.ts";
import type { Logger } from "./service/index.ts";

export interface ServeOptions {
  /** Codec to advertise in the instance record; both are understood. Default: none, callers then send JSON. */
  readonly advertisedCodec?: "json";
}

export interface Endpoint {
  readonly address: EndpointAddress;
  /** Listens or subscribes first, then puts the instance key; after a lost lease it does both again under the new id. */
  serve(handler: Handler, options?: ServeOptions): Promise<ServedEndpoint>;
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

/** What a runtime has that its endpoints need. */
export interface EndpointParts {
  readonly config: RequestPlaneConfig;
  readonly discovery: Discovery;
  readonly client: RequestClient;
  readonly listener: RequestListener;
  readonly metricsOf: (address: EndpointAddress) => ServedRequestMetrics;
  readonly log: Logger;
  /** Told about each served endpoint, so that the runtime can end it. */
  readonly onServed: (served: ServedEndpoint) => void;
}

export function createEndpoint(address: EndpointAddress, parts: EndpointParts): Endpoint {
  const { config, discovery, client, listener, metricsOf, log } = parts;
  return {
    address,
    async serve(handler, options = {}) {
      const requests = new ServedHandler(handler, { config, log, metrics: metricsOf(address) });
      const served = await RegisteredEndpoint.serve(address, options, { discovery, listener, handler: requests, log });
      parts.onServed(served);
      return served;
    },
    client: () => new WatchedEndpointClient(address, { discovery, caller: client, setAsideMs: config.setAsideMs, log }),
  };
}
