// The process's connection to NATS: found at the start or given up with a sentence, afterwards reconnected for ever.
//
// Gotchas (measured, nats-server 2.10 and 2.15): with the default ping (2 min, twice) a frozen server goes unnoticed for
// minutes, with 5 s twice ~15 s; the client gives up for good on two authentication errors unless told not to.
import { readFileSync } from "node:fs";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
  type Status,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { AppError } from "@mm-router/protocol";
import { Backoff, withDeadline } from "../flow/index.ts";
import type { Logger } from "../service/index.ts";
import type { NatsConfig } from "./request-plane-config.ts";

export interface NatsConnectOptions {
  /** Shown by `nats server report connections`. */
  readonly name: string;
  /** Milliseconds for which the first connection may be tried. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** The one connection of a process, made when it is first asked for. */
export class SharedNats {
  readonly #config: NatsConfig;
  readonly #options: Omit<NatsConnectOptions, "signal">;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  #connecting: Promise<NatsConnection> | undefined;

  constructor(config: NatsConfig, options: Omit<NatsConnectOptions, "signal">, log: Logger) {
    this.#config = config;
    this.#options = options;
    this.#log = log;
  }

  /** @throws AppError as `connectNats`; the next call tries again */
  connection(): Promise<NatsConnection> {
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  /** Sends what is queued, if the server takes it soon, and closes. */
  async close(): Promise<void> {
    this.#closing.abort();
    const connection = await this.#connecting?.catch(() => undefined); // whoever asked for it was told
    if (!connection || connection.isClosed()) return;
    await withDeadline(connection.drain(), DRAIN_DEADLINE_MS, "closing the NATS connection").catch(() => connection.close());
  }

  async #connect(): Promise<NatsConnection> {
    try {
      return await connectNats(this.#config, { ...this.#options, signal: this.#closing.signal }, this.#log);
    } catch (error) {
      this.#connecting = undefined;
      throw error;
    }
  }
}

/** A server that is gone must not hold up the end of the process. */
const DRAIN_DEADLINE_MS = 1_000;

/** @throws AppError `dependency_unreachable` when no server answers within the deadline */
export async function connectNats(config: NatsConfig, options: NatsConnectOptions, log: Logger): Promise<NatsConnection> {
  const servers = config.servers.split(",").map((server) => server.trim());
  const connection = await firstConnection(servers, config, options);
  log.info("connected to NATS", { server: connection.getServer() });
  void followStatus(connection, log);
  return connection;
}

async function firstConnection(servers: readonly string[], config: NatsConfig, options: NatsConnectOptions): Promise<NatsConnection> {
  const giveUp = AbortSignal.any([options.signal, AbortSignal.timeout(options.deadlineMs)]);
  const authenticator = authenticatorOf(config);
  const backoff = new Backoff({ firstMs: 100, maxMs: 1_000 });
  for (;;) {
    try {
      return await connect({
        servers: [...servers],
        name: options.name,
        authenticator,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 100,
        pingInterval: 5_000,
        maxPingOut: 2,
        ignoreAuthErrorAbort: true,
        noAsyncTraces: true,
        timeout: Math.max(options.deadlineMs, 1),
      });
    } catch (cause) {
      await backoff.wait(giveUp);
      if (giveUp.aborted) throw unreachable(servers, cause);
    }
  }
}

function unreachable(servers: readonly string[], cause: unknown): AppError {
  const remedy = "start nats-server or set NATS_SERVER";
  return new AppError("dependency_unreachable", `no NATS server answers at ${servers.join(", ")}: ${remedy}`, { cause });
}

/** One form of login, in upstream's order; without any, the user and password that upstream sends. */
function authenticatorOf(config: NatsConfig): Authenticator {
  if (config.username !== undefined && config.password !== undefined) {
    return usernamePasswordAuthenticator(config.username, config.password);
  }
  if (config.token !== undefined) return tokenAuthenticator(config.token);
  if (config.nkeySeed !== undefined) return nkeyAuthenticator(Buffer.from(config.nkeySeed));
  if (config.credentialsFile !== undefined) return credsAuthenticator(credentialsOf(config.credentialsFile));
  return usernamePasswordAuthenticator("user", "user");
}

function credentialsOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new AppError("configuration", `cannot read the NATS credentials file ${file}`, { cause });
  }
}

/** Tells the log what happens to the connection; ends when it is closed. */
async function followStatus(connection: NatsConnection, log: Logger): Promise<void> {
  for await (const status of connection.status()) logStatus(status, connection, log);
}

function logStatus(status: Status, connection: NatsConnection, log: Logger): void {
  switch (status.type) {
    case "disconnect":
      return log.warn("NATS connection lost", { server: status.server });
    case "reconnect":
      return log.info("NATS connection is back", { server: connection.getServer() });
    case "staleConnection":
      return log.warn("NATS server does not answer");
    case "slowConsumer":
      return log.warn("NATS messages come faster than they are taken", { pending: status.pending });
    case "error":
      return log.error("NATS server reports an error", { error: status.error });
    default: // reconnecting comes once per attempt, the rest is routine
      return;
  }
}
