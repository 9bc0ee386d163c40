// The port to which workers call home: one per process, for all requests on both planes.
//
//   expect(…) ─▶ subject in the request ─▶ worker connects ─▶ handshake {subject} ─▶ the stream that waits for it
//
// I1  a subject is known before its request leaves, is used once, and is forgotten when its stream is over.
// I2  a connection that does not introduce itself in time, or names an unknown subject, is closed; the latter with a kill,
//     since it is a worker that begins on a request which its caller gave up.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { AppError, decodeHandshake, type InstanceId, killFrame, TwoPartDecoder, type TwoPartFrame, toAppError } from "@mm-router/protocol";
import type { Logger } from "../service/index.ts";
import { ReceivedStream } from "./received-stream.ts";
import type { RequestPlaneConfig } from "./request-plane-config.ts";
import { ownHost, socketAddressText } from "./socket-address.ts";
import type { StreamState } from "./stream-state.ts";
import { socketOptions } from "./tcp-socket.ts";

export interface ExpectedStream {
  readonly subject: string;
  readonly stream: ReceivedStream;
}

export class ResponseServer {
  /** `ip:port` for the requests' connection info. */
  readonly address: string;

  readonly #config: RequestPlaneConfig;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #expected = new Map<string, ReceivedStream>();
  readonly #sockets = new Set<Socket>();

  /** @throws AppError `configuration` when the port cannot be listened on */
  static async listen(config: RequestPlaneConfig, log: Logger): Promise<ResponseServer> {
    const host = ownHost(config.host);
    const server = createServer(socketOptions);
    server.listen({ host, port: config.responsePort });
    await once(server, "listening").catch((error: unknown) => {
      throw new AppError("configuration", `cannot listen for response streams on ${host}:${config.responsePort}`, { cause: error });
    });
    return new ResponseServer(config, log, server);
  }

  private constructor(config: RequestPlaneConfig, log: Logger, server: Server) {
    this.#config = config;
    this.#log = log;
    this.#server = server;
    const bound = server.address() as { address: string; port: number };
    this.address = socketAddressText({ host: bound.address, port: bound.port });
    server.on("connection", (socket) => this.#accept(socket));
    server.on("error", (error) => log.error("response server failed", { error }));
  }

  /** Streams whose worker has not called home yet. */
  get pending(): number {
    return this.#expected.size;
  }

  /**
   * Registers a stream under a new subject.
   *
   * @throws AppError `overloaded` when too many requests wait for their workers
   */
  expect(instanceId: InstanceId, onOver: (state: StreamState) => void): ExpectedStream {
    if (this.#expected.size >= this.#config.pendingStreamsMax) {
      throw new AppError("overloaded", `${this.#expected.size} requests wait for their workers to answer`);
    }
    const subject = randomUUID();
    const { readAheadBytes, idleTimeoutMs, closeTimeoutMs } = this.#config;
    const stream = new ReceivedStream({
      instanceId,
      readAheadBytes,
      idleTimeoutMs,
      closeTimeoutMs,
      onOver: (state) => {
        this.#expected.delete(subject);
        onOver(state);
      },
    });
    this.#expected.set(subject, stream);
    return { subject, stream };
  }

  /** Cancels what runs and closes the port. */
  async close(): Promise<void> {
    for (const stream of this.#expected.values()) stream.cancel();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const decoder = new TwoPartDecoder(this.#config);
    let stream: ReceivedStream | undefined;
    let cause: unknown;
    const introduction = setTimeout(() => socket.destroy(), this.#config.prologueTimeoutMs);

    socket.on("data", (chunk) => {
      try {
        const frames = decoder.push(chunk);
        if (stream) return stream.receive(frames);
        const [handshake, ...rest] = frames;
        if (!handshake) return;
        clearTimeout(introduction);
        stream = this.#introduce(handshake, socket);
        stream?.receive(rest);
      } catch (error) {
        if (stream) stream.failed(toAppError(error));
        else this.#turnAway(socket, error);
      }
    });
    socket.on("error", (error) => {
      cause = error;
    });
    socket.on("end", () => stream?.closed());
    socket.on("close", () => {
      clearTimeout(introduction);
      this.#sockets.delete(socket);
      stream?.closed(cause);
    });
  }

  /** The stream that a handshake belongs to, or undefined when nobody waits for it. */
  #introduce(handshake: TwoPartFrame, socket: Socket): ReceivedStream | undefined {
    const subject = decodeHandshake(handshake.header);
    const stream = this.#expected.get(subject);
    if (!stream) {
      this.#log.debug("nobody waits for this response stream", { subject, from: socket.remoteAddress });
      socket.end(killFrame, () => socket.destroy());
      return undefined;
    }
    this.#expected.delete(subject);
    stream.connected(socket);
    return stream;
  }

  #turnAway(socket: Socket, error: unknown): void {
    this.#log.warn("a connection to the response port is no response stream", { from: socket.remoteAddress, error });
    socket.destroy();
  }
}
