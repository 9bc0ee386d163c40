// Requests over TCP: persistent connections, requests pipelined on them, acks in their order.
//
//   instance host:port ─▶ up to 4 connections ─▶ [request, request, …] ◀─ [ack, ack, …]
//
// I1  the oldest request without an ack belongs to the next ack; acks carry no id.
// I2  a connection whose ack is late is closed: its order can no longer be trusted, and its worker seems frozen.
// I3  any ack text is a refusal (real callers hang on it).
import type { Socket } from "node:net";
import { AckDecoder, AppError, encodeTcpRequest, type InstanceId, OVERLOAD_ACK, type Transport } from "@mm-router/protocol";
import { notTaken } from "./call.ts";
import type { RequestPlaneConfig } from "./request-plane-config.ts";
import type { Headers, RequestSender } from "./request-transport.ts";
import { socketAddressText } from "./socket-address.ts";
import { connectSocket } from "./tcp-socket.ts";

type TcpTransport = Extract<Transport, { kind: "tcp" }>;

interface TcpInstance {
  readonly instanceId: InstanceId;
  readonly transport: TcpTransport;
}

/** More than one, so that a request of megabytes does not hold up the small ones behind it. */
const CONNECTIONS_PER_ADDRESS = 4;

export class TcpRequestClient implements RequestSender<TcpTransport> {
  readonly #config: RequestPlaneConfig;
  readonly #pools = new Map<string, Set<TcpConnection>>();

  constructor(config: RequestPlaneConfig) {
    this.#config = config;
  }

  async send(instance: TcpInstance, envelope: Buffer, headers: Headers): Promise<void> {
    const ack = await this.#request(instance, envelope, headers);
    if (ack.length === 0) return;
    const text = ack.toString();
    const { instanceId } = instance;
    throw notTaken(text === OVERLOAD_ACK ? "overloaded" : "worker_lost", `the instance refused the request: ${text}`, { instanceId });
  }

  /**
   * Asks an instance that answers in its acknowledgement.
   *
   * @returns the answer; another one's memory, to be read at once
   * @throws AppError as `send`
   */
  ask(instance: TcpInstance, question: Buffer): Promise<Buffer> {
    return this.#request(instance, question, {});
  }

  close(): void {
    for (const pool of this.#pools.values()) for (const connection of pool) connection.close(new Error("this process is closing"));
  }

  async #request({ instanceId, transport }: TcpInstance, envelope: Buffer, headers: Headers): Promise<Buffer> {
    const limit = this.#config.requestBytesMax;
    if (envelope.length > limit) {
      throw new AppError("body_too_large", `the request has ${envelope.length} bytes, DYN_TCP_MAX_MESSAGE_SIZE allows ${limit}`);
    }
    try {
      return await this.#connectionTo(transport).request(encodeTcpRequest(transport.path, headers, envelope));
    } catch (cause) {
      throw notTaken("worker_lost", `the instance's TCP connection failed: ${(cause as Error).message}`, { instanceId, cause });
    }
  }

  /** An idle connection, else a new one, else the one with the fewest requests waiting. */
  #connectionTo(transport: TcpTransport): TcpConnection {
    const key = socketAddressText(transport);
    const pool = this.#pools.get(key) ?? new Set();
    this.#pools.set(key, pool);
    let least: TcpConnection | undefined;
    for (const connection of pool) if (least === undefined || connection.waiting < least.waiting) least = connection;
    if (least && (least.waiting === 0 || pool.size >= CONNECTIONS_PER_ADDRESS)) return least;
    const connection: TcpConnection = new TcpConnection(transport, this.#config, () => {
      pool.delete(connection);
      if (pool.size === 0) this.#pools.delete(key);
    });
    pool.add(connection);
    return connection;
  }
}

interface Waiter {
  readonly frame: Buffer;
  readonly ack: PromiseWithResolvers<Buffer>;
  timer?: NodeJS.Timeout;
}

class TcpConnection {
  readonly #config: RequestPlaneConfig;
  readonly #onClosed: () => void;
  readonly #waiters: Waiter[] = [];
  readonly #acks = new AckDecoder();
  #socket: Socket | undefined;
  #closed: Error | undefined;

  constructor(transport: TcpTransport, config: RequestPlaneConfig, onClosed: () => void) {
    this.#config = config;
    this.#onClosed = onClosed;
    connectSocket(transport, config.connectTimeoutMs).then(
      (socket) => this.#follow(socket),
      (error: Error) => this.close(error),
    );
  }

  /** Requests without an ack. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /** Sends a frame; resolves with its ack. */
  request(frame: Buffer): Promise<Buffer> {
    const waiter: Waiter = { frame, ack: Promise.withResolvers() };
    this.#waiters.push(waiter);
    if (this.#socket) this.#send(waiter, this.#socket);
    return waiter.ack.promise;
  }

  /** Fails what waits; a second call does nothing. */
  close(reason: Error): void {
    if (this.#closed) return;
    this.#closed = reason;
    this.#socket?.destroy();
    this.#onClosed();
    for (const waiter of this.#waiters.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.ack.reject(reason);
    }
  }

  #follow(socket: Socket): void {
    this.#socket = socket;
    if (this.#closed) return void socket.destroy();
    socket.on("data", (chunk) => this.#takeAcks(chunk));
    socket.on("error", (error) => this.close(error));
    socket.on("close", () => this.close(new Error("the connection was closed")));
    for (const waiter of this.#waiters) this.#send(waiter, socket); // all that came while it was connecting
  }

  #send(waiter: Waiter, socket: Socket): void {
    const { ackTimeoutMs } = this.#config;
    waiter.timer = setTimeout(() => this.close(new Error(`no ack within ${ackTimeoutMs} ms`)), ackTimeoutMs);
    socket.write(waiter.frame);
  }

  #takeAcks(chunk: Buffer): void {
    try {
      for (const ack of this.#acks.push(chunk)) this.#settle(ack);
    } catch (error) {
      this.close(error as Error);
    }
  }

  #settle(ack: Buffer): void {
    const waiter = this.#waiters.shift();
    if (!waiter) throw new AppError("protocol_error", "an ack came that no request waits for");
    clearTimeout(waiter.timer);
    waiter.ack.resolve(ack);
  }
}
