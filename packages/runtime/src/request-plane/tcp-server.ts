// Requests taken over TCP: one port per process for all its endpoints, routed by the path of the request frame.
//
// Each request is acknowledged with an empty ack before it is looked at, in order of arrival. A path that nobody serves is
// acknowledged, too, and refused over the response stream: real callers hang on any other ack.
// The path is `{id}/{namespace}/{component}/{endpoint}`, the form of 1.6: callers of every release take it as an opaque key,
// and two endpoints of one process may share their last name, which the shorter form of ≤ 1.5 could not tell apart.
// A question to an endpoint of ours that answers at once finds its answer in the ack (request-transport.ts, Answerer).
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import {
  AppError,
  decodeTcpHeaders,
  type EndpointAddress,
  encodeAck,
  type InstanceId,
  TcpRequestDecoder,
  tcpPathOf,
} from "@mm-router/protocol";
import type { Logger } from "../service/index.ts";
import type { RequestPlaneConfig } from "./request-plane-config.ts";
import type { Answerer, Headers, Listening, QuestionListener, RequestListener, RequestTaker } from "./request-transport.ts";
import { refuseRequest } from "./served-handler.ts";
import { ownHost, type SocketAddress } from "./socket-address.ts";
import { socketOptions } from "./tcp-socket.ts";

const emptyAck = encodeAck();

type Served = { readonly take: RequestTaker } | { readonly answer: Answerer };

export class TcpRequestServer implements RequestListener, QuestionListener {
  readonly #config: RequestPlaneConfig;
  readonly #log: Logger;
  readonly #served = new Map<string, Served>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer(socketOptions, (socket) => this.#accept(socket));
  #address: Promise<SocketAddress> | undefined;

  constructor(config: RequestPlaneConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#server.on("error", (error) => log.error("TCP request server failed", { error }));
  }

  listen(address: EndpointAddress, instanceId: InstanceId, take: RequestTaker): Promise<Listening> {
    return this.#serve(address, instanceId, { take });
  }

  answer(address: EndpointAddress, instanceId: InstanceId, answerer: Answerer): Promise<Listening> {
    return this.#serve(address, instanceId, { answer: answerer });
  }

  async close(): Promise<void> {
    if (!this.#address) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(address: EndpointAddress, instanceId: InstanceId, served: Served): Promise<Listening> {
    this.#address ??= this.#bind();
    const { host, port } = await this.#address;
    const path = tcpPathOf(address, instanceId);
    this.#served.set(path, served);
    return {
      transport: { kind: "tcp", host, port, path },
      stop: async () => {
        this.#served.delete(path);
      },
    };
  }

  async #bind(): Promise<SocketAddress> {
    const host = ownHost(this.#config.host);
    const port = this.#config.requestPort;
    this.#server.listen({ host, port });
    await once(this.#server, "listening").catch((cause: unknown) => {
      throw new AppError("configuration", `cannot listen for requests on ${host}:${port} (DYN_TCP_RPC_HOST, DYN_TCP_RPC_PORT)`, { cause });
    });
    const bound = this.#server.address() as { port: number };
    return { host, port: bound.port };
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const decoder = new TcpRequestDecoder(this.#config);
    socket.on("data", (chunk) => {
      try {
        this.#takeRequests(decoder, chunk, socket);
      } catch (error) {
        this.#log.warn("a connection to the request port sends no requests", { from: socket.remoteAddress, error });
        socket.destroy();
      }
    });
    socket.on("error", () => {}); // close follows, and requests taken already are answered elsewhere
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #takeRequests(decoder: TcpRequestDecoder, chunk: Buffer, socket: Socket): void {
    for (const { path, headers, envelope } of decoder.push(chunk)) {
      const served = this.#served.get(path);
      if (served && "answer" in served) {
        socket.write(encodeAck(served.answer(envelope)));
        continue;
      }
      socket.write(emptyAck);
      if (served) served.take(envelope, this.#headersOf(headers));
      else this.#refuse(path, envelope);
    }
  }

  #refuse(path: string, envelope: Buffer): void {
    this.#log.debug("request for an endpoint that is not served here", { path });
    refuseRequest(envelope, `Unknown endpoint: ${path}`, this.#config).catch((error: unknown) => {
      this.#log.warn("request could not be refused", { path, error });
    });
  }

  /** Headers are for logs and traces: a request without readable ones is served all the same. */
  #headersOf(headers: Buffer): Headers {
    try {
      return decodeTcpHeaders(headers);
    } catch (error) {
      this.#log.debug("headers of a TCP request cannot be read", { error });
      return {};
    }
  }
}
