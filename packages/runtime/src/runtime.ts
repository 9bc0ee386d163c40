// A process's place in the cluster: its lease, its planes, and the doors to endpoints.
//
//   connectRuntime ─▶ etcd (lease) ─▶ response port
//                     NATS: at the first use, unless this process serves on it
//   close            the other way round: what is still served ends first, the lease goes last
import type { EndpointAddress } from "@mm-router/protocol";
import type { NatsConnection } from "@nats-io/transport-node";
import { connectDiscovery, type Discovery, type EtcdConfig } from "./discovery/index.ts";
import { connectedEndpoint } from "./connected-endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { NatsRequestClient } from "./request-plane/nats-client.ts";
import { SharedNats } from "./request-plane/nats-connection.ts";
import { NatsRequestServer } from "./request-plane/nats-server.ts";
import { RequestClient } from "./request-plane/request-client.ts";
import type { NatsConfig, RequestPlaneConfig } from "./request-plane/request-plane-config.ts";
import type { RequestListener } from "./request-plane/request-transport.ts";
import { ResponseServer } from "./request-plane/response-server.ts";
import { servedRequestMetrics } from "./request-plane/served-request-metrics.ts";
import { TcpRequestClient } from "./request-plane/tcp-client.ts";
import { TcpRequestServer } from "./request-plane/tcp-server.ts";
import type { Logger, Metrics } from "./service/index.ts";
import { noTracer, type Tracer } from "./tracing/index.ts";

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
  /** Default: none. */
  readonly tracer?: Tracer;
}

export interface Runtime {
  readonly discovery: Discovery;
  /** The process's NATS connection; connected at the first call, reconnects by itself for ever. */
  nats(): Promise<NatsConnection>;
  endpoint(address: EndpointAddress): Endpoint;
  /** Closes in reverse order; the lease goes last. A second call waits for the first. */
  close(): Promise<void>;
}

/**
 * Takes the process's place: a lease in etcd, a port for response streams, and the connection to NATS when it serves there.
 *
 * @throws AppError `dependency_unreachable` when etcd or NATS does not answer within `config.etcd.connectDeadlineMs`,
 *   `configuration` when a port or an address cannot be used
 */
export async function connectRuntime(config: RuntimeConfig, deps: RuntimeDeps): Promise<Runtime> {
  const { log, tracer = noTracer } = deps;
  await using opened = new AsyncDisposableStack();
  const discovery = await connectDiscovery(config.etcd, { log });
  opened.defer(() => discovery.close());
  const nats = new SharedNats(config.nats, { name: config.service.name, deadlineMs: config.etcd.connectDeadlineMs }, log);
  opened.defer(() => nats.close());
  const responses = await ResponseServer.listen(config.requestPlane, log);
  opened.defer(() => responses.close());
  const tcp = new TcpRequestClient(config.requestPlane);
  opened.defer(() => tcp.close());
  const client = new RequestClient(config.requestPlane, { responses, tcp, nats: natsClientOf(nats, config.requestPlane) });
  const tcpListener = new TcpRequestServer(config.requestPlane, log); // listens once something is served there
  opened.defer(() => tcpListener.close());
  const listener: RequestListener =
    config.requestPlane.plane === "tcp" ? tcpListener : opened.adopt(await openNatsListener(config, nats, log), (open) => open.close());

  const closers = opened.move();
  const parts = {
    config: config.requestPlane,
    discovery,
    client,
    listener,
    questions: tcpListener,
    metricsOf: servedRequestMetrics(deps.metrics),
    log,
    tracer,
  };
  let closed: Promise<void> | undefined;
  return {
    discovery,
    nats: () => nats.connection(),
    endpoint: (address) => connectedEndpoint(address, { ...parts, onServed: (served) => closers.defer(() => served.drain(0)) }),
    close: () => {
      closed ??= closers.disposeAsync();
      return closed;
    },
  };
}

function natsClientOf(nats: SharedNats, config: RequestPlaneConfig): NatsRequestClient {
  return new NatsRequestClient(() => nats.connection(), config.ackTimeoutMs);
}

async function openNatsListener(config: RuntimeConfig, nats: SharedNats, log: Logger): Promise<RequestListener> {
  await nats.connection(); // a process that serves over NATS tells at its start that there is none
  return new NatsRequestServer(() => nats.connection(), config.service.version, log);
}
