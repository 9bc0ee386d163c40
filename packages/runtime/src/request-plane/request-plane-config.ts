// Limits and deadlines of the request plane. Every wait and every buffer of this folder is bounded by one of these.

export interface NatsConfig {
  /** `nats://host:port`, comma list allowed (`NATS_SERVER`). */
  readonly servers: string;
  /** Login; at most one form is used, in this order (`NATS_AUTH_USERNAME`/`_PASSWORD`, `_TOKEN`, `_NKEY`, `_CREDENTIALS_FILE`). */
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
  readonly nkeySeed?: string;
  readonly credentialsFile?: string;
}

export interface RequestPlaneConfig {
  /** The plane this process serves on; as caller it follows the transport of each instance. */
  readonly plane: "nats" | "tcp";
  /** IP literal that others reach us at; default: the first non-loopback IPv4, else 127.0.0.1 (`DYN_TCP_RPC_HOST`). */
  readonly host?: string;
  /** Port of the TCP request plane, 0 = chosen by the system (`DYN_TCP_RPC_PORT`). */
  readonly requestPort: number;
  /** Port that workers call home to, 0 = chosen by the system (`DYN_TCP_RESPONSE_STREAM_PORT`). */
  readonly responsePort: number;
  /** TCP connect of both directions (`DYN_TCP_CONNECT_TIMEOUT`). */
  readonly connectTimeoutMs: number;
  /** From the request on the wire to its ack (`DYN_TCP_REQUEST_TIMEOUT`). */
  readonly ackTimeoutMs: number;
  /** From the ack to the handshake, and from there to the prologue: upstream waits for ever, busy workers may queue. */
  readonly prologueTimeoutMs: number;
  /** Longest silence inside an open stream; 0 = none, a long prefill is silent for minutes. */
  readonly idleTimeoutMs: number;
  /** How long an instance is not chosen after a connection-type failure (`DYN_RUNTIME_INHIBITED_DURATION_SECS`). */
  readonly setAsideMs: number;
  /** Largest request frame on TCP, both directions (`DYN_TCP_MAX_MESSAGE_SIZE`). */
  readonly requestBytesMax: number;
  /** Largest frame of a response stream. */
  readonly frameBytesMax: number;
  /** Bytes of items waiting for a slow reader before its socket is paused. */
  readonly readAheadBytes: number;
  /** Requests waiting for their worker to call home; more are refused as `overloaded`. */
  readonly pendingStreamsMax: number;
  /** Requests in progress in one served endpoint; more are answered as `overloaded`. */
  readonly requestsInProgressMax: number;
  /** After the sentinel: how long the caller may take to close. */
  readonly closeTimeoutMs: number;
}

const MiB = 1024 * 1024;

export const requestPlaneDefaults: RequestPlaneConfig = {
  plane: "tcp",
  requestPort: 0,
  responsePort: 0,
  connectTimeoutMs: 5_000,
  ackTimeoutMs: 5_000,
  prologueTimeoutMs: 10_000,
  idleTimeoutMs: 0,
  setAsideMs: 5_000,
  requestBytesMax: 32 * MiB,
  frameBytesMax: 64 * MiB,
  readAheadBytes: MiB / 4,
  pendingStreamsMax: 10_000,
  requestsInProgressMax: 10_000,
  closeTimeoutMs: 10_000,
};
