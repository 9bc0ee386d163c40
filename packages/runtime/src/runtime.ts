// A process's place in the cluster: its lease, its planes, and the doors to endpoints.
import type { NatsConnection } from "@nats-io/transport-node";
import type { EndpointAddress } from "@mm-router/protocol";
import type { Discovery, EtcdConfig } from "./discovery/index.ts";
import type { Endpoint } from "./endpoint.ts";
import type { NatsConfig, RequestPlaneConfig } from "./request-plane/index.ts";
import type { Logger, Metrics } from "./service/index.ts";

export interface RuntimeConfig {
  readonly etcd: EtcdConfig;
  readonly nats: NatsConfig;
  readonly requestPlane: RequestPlaneConfig;
  /** Service name and version shown to operators (`$SRV.INFO`, NATS connection name). */
  readonly service: { readonly name: string; readonly version: string };
}

export interface RuntimeDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface Runtime {
  readonly discovery: Discovery;
  /** The process's NATS connection; connected at the first call, reconnects by itself for ever. */
  nats(): Promise<NatsConnection>;
  endpoint(address: EndpointAddress): Endpoint;
  /** Closes in reverse order; the lease goes last. */
  close(): Promise<void>;
}

export async function connectRuntime(_config: RuntimeConfig, _deps: RuntimeDeps): Promise<Runtime> {
  throw new Error("not built yet");
}
