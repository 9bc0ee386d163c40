// The settings that every service shares: upstream's names where the meaning is upstream's, `MMR_…` where it is ours.
//
// Source of names and defaults: Dynamo 0.9.1 … 1.6.1 (environment of running processes). One default differs on purpose: the planes
// are NATS, as in the launch scripts, where upstream's processes take TCP and, from 1.4 on, ZMQ.
import { z } from "zod";
import type { EtcdConfig } from "../discovery/discovery.ts";
import { type NatsConfig, type RequestPlaneConfig, requestPlaneDefaults } from "../request-plane/request-plane-config.ts";
import type { RuntimeConfig } from "../runtime.ts";
import { type ConfigOf, decimal, field, integer, port, textList } from "./config.ts";

const seconds = (initial: number) => decimal(0).default(initial);
const optionalText = z.string().optional();
const onlyNatsOrTcp = "only nats and tcp are supported (http is gone since Dynamo 1.2)";

export const runtimeFields = {
  natsServer: field(z.string().default("nats://localhost:4222"), { env: "NATS_SERVER", help: "NATS servers, comma between them" }),
  natsUsername: field(optionalText, { env: "NATS_AUTH_USERNAME", help: "NATS login" }),
  natsPassword: field(optionalText, { env: "NATS_AUTH_PASSWORD", secret: true, help: "NATS login" }),
  natsToken: field(optionalText, { env: "NATS_AUTH_TOKEN", secret: true, help: "NATS login by token" }),
  natsNkey: field(optionalText, { env: "NATS_AUTH_NKEY", secret: true, help: "NATS login by nkey seed" }),
  natsCredentialsFile: field(optionalText, { env: "NATS_AUTH_CREDENTIALS_FILE", help: "NATS login by a .creds file" }),

  discoveryBackend: field(z.literal("etcd", "only etcd is supported").default("etcd"), {
    flag: "discovery-backend",
    env: "DYN_DISCOVERY_BACKEND",
    help: "where processes find each other",
  }),
  etcdEndpoints: field(textList.default(["http://localhost:2379"]), { env: "ETCD_ENDPOINTS", help: "etcd servers" }),
  etcdUsername: field(optionalText, { env: "ETCD_AUTH_USERNAME", help: "etcd login, with the password" }),
  etcdPassword: field(optionalText, { env: "ETCD_AUTH_PASSWORD", secret: true, help: "etcd login" }),
  etcdCa: field(optionalText, {
    env: "ETCD_AUTH_CA",
    secret: true,
    help: "who signs etcd's certificate: path or PEM; TLS needs all three",
  }),
  etcdClientCert: field(optionalText, { env: "ETCD_AUTH_CLIENT_CERT", secret: true, help: "our certificate towards etcd: path or PEM" }),
  etcdClientKey: field(optionalText, { env: "ETCD_AUTH_CLIENT_KEY", secret: true, help: "its key: path or PEM" }),
  etcdLeaseTtlS: field(integer(1, 3600).default(10), {
    env: "ETCD_LEASE_TTL",
    unit: "seconds",
    help: "how long a process that fell silent stays listed",
  }),
  connectDeadlineS: field(seconds(10), {
    env: "MMR_CONNECT_DEADLINE_SECS",
    unit: "seconds",
    help: "how long NATS and etcd are tried at the start before exit 3",
  }),

  requestPlane: field(z.enum(["nats", "tcp"], onlyNatsOrTcp).default("nats"), {
    flag: "request-plane",
    env: "DYN_REQUEST_PLANE",
    help: "nats or tcp: how this process is called; whom it calls says himself how. Dynamo's own default is tcp: set it in all processes",
  }),
  eventPlane: field(z.enum(["nats", "zmq"]).default("nats"), {
    flag: "event-plane",
    env: "DYN_EVENT_PLANE",
    help: "nats or zmq: how this process tells events. Dynamo ≥ 1.4 takes zmq by default: set it in all processes",
  }),
  advertisedHost: field(optionalText, {
    env: "DYN_TCP_RPC_HOST",
    help: "IP address under which others reach this process (default: the first that is not loopback, else 127.0.0.1)",
  }),
  tcpPort: field(port.default(0), {
    env: "DYN_TCP_RPC_PORT",
    help: "port of the TCP request plane; the indexer takes mm-router's questions there on either plane (0: any free one)",
  }),
  responsePort: field(port.default(0), {
    env: "DYN_TCP_RESPONSE_STREAM_PORT",
    help: "port to which workers dial back with their answer (0: any free one)",
  }),
  tcpConnectTimeoutS: field(seconds(5), { env: "DYN_TCP_CONNECT_TIMEOUT", unit: "seconds", help: "limit for a TCP connect to a worker" }),
  tcpRequestTimeoutS: field(seconds(5), {
    env: "DYN_TCP_REQUEST_TIMEOUT",
    unit: "seconds",
    help: "limit for a worker's ack, on both planes",
  }),
  tcpMessageBytesMax: field(integer(1024).default(33_554_432), {
    env: "DYN_TCP_MAX_MESSAGE_SIZE",
    unit: "bytes",
    help: "largest request on the TCP plane, 32 MiB as upstream's",
  }),
  prologueTimeoutS: field(seconds(10), {
    env: "MMR_PROLOGUE_TIMEOUT_SECS",
    unit: "seconds",
    help: "how long a worker that took a request may take to dial back",
  }),
  silenceTimeoutS: field(seconds(0), {
    env: "MMR_STREAM_SILENCE_TIMEOUT_SECS",
    unit: "seconds",
    help: "how long an open stream may say nothing (0: for ever; a long prefill is silent for minutes)",
  }),
  inhibitedS: field(seconds(5), {
    env: "DYN_RUNTIME_INHIBITED_DURATION_SECS",
    unit: "seconds",
    help: "how long an instance that failed is set aside",
  }),
  gracePeriodS: field(seconds(5), {
    env: "DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS",
    unit: "seconds",
    help: "how long a process that stops still takes requests after it unregistered",
  }),
};

export type RuntimeFields = typeof runtimeFields;

/**
 * The part of a service's config that `connectRuntime` takes.
 *
 * @param service name and version as operators see them (`$SRV.INFO`, NATS connection name)
 */
export function runtimeConfigOf(config: ConfigOf<RuntimeFields>, service: RuntimeConfig["service"]): RuntimeConfig {
  return { etcd: etcdConfigOf(config), nats: natsConfigOf(config), requestPlane: requestPlaneConfigOf(config), service };
}

function etcdConfigOf(config: ConfigOf<RuntimeFields>): EtcdConfig {
  const { etcdUsername: username, etcdPassword: password, etcdCa: ca, etcdClientCert: clientCert, etcdClientKey: clientKey } = config;
  return {
    endpoints: config.etcdEndpoints,
    ...(username !== undefined && password !== undefined && { login: { username, password } }),
    ...(ca !== undefined && clientCert !== undefined && clientKey !== undefined && { tls: { ca, clientCert, clientKey } }),
    leaseTtlS: config.etcdLeaseTtlS,
    connectDeadlineMs: config.connectDeadlineS * 1000,
  };
}

function natsConfigOf(config: ConfigOf<RuntimeFields>): NatsConfig {
  const login = {
    username: config.natsUsername,
    password: config.natsPassword,
    token: config.natsToken,
    nkeySeed: config.natsNkey,
    credentialsFile: config.natsCredentialsFile,
  };
  return { servers: config.natsServer, ...definedOf(login) };
}

function requestPlaneConfigOf(config: ConfigOf<RuntimeFields>): RequestPlaneConfig {
  return {
    ...requestPlaneDefaults,
    plane: config.requestPlane,
    ...definedOf({ host: config.advertisedHost }),
    requestPort: config.tcpPort,
    responsePort: config.responsePort,
    connectTimeoutMs: config.tcpConnectTimeoutS * 1000,
    ackTimeoutMs: config.tcpRequestTimeoutS * 1000,
    prologueTimeoutMs: config.prologueTimeoutS * 1000,
    idleTimeoutMs: config.silenceTimeoutS * 1000,
    setAsideMs: config.inhibitedS * 1000,
    requestBytesMax: config.tcpMessageBytesMax,
  };
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the members that are undefined: what is not set must not replace a default. */
function definedOf<T extends object>(members: T): Defined<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;
}
