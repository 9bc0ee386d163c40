// The system status server: what a probe and Prometheus ask of any process.
//
//   GET /live, /health   200 | 503   text/plain   {"status":"ready","uptime":{"secs":9,"nanos":899899767},"endpoints":{"generate":"ready"}}
//   GET /metrics         200         Prometheus text
//   GET /metadata        404         Discovery metadata not available
//   anything else        404         Route not found
//
// Source: real workers of Dynamo 0.9.1, 1.0.2, 1.4.2, 1.6.1 answer so, byte for byte (golden wire/service-and-status.json), the JSON as
// text/plain included; both probes have one handler. "notready" is read from their source, not seen.
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { AppError } from "@mm-router/protocol";
import type { Metrics } from "./metrics.ts";

export type Readiness = "ready" | "notready";

export interface Health {
  readonly status: Readiness;
  /** By endpoint name. */
  readonly endpoints: Readonly<Record<string, Readiness>>;
}

export interface StatusServerOptions {
  health(): Health;
  readonly metrics: Metrics;
  /** Milliseconds since the process started. Default: the process's own. */
  uptimeMs?(): number;
}

export interface StatusServer {
  /** The real one when 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on all interfaces.
 *
 * @throws AppError `configuration` when the port is taken or not allowed
 */
export async function startStatusServer(port: number, options: StatusServerOptions): Promise<StatusServer> {
  const server = createServer((request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "/";
    void answer(path, request.method, options, response);
  });
  await listen(server, port);
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

/** Never rejects: a scrape that fails is answered with 500. */
async function answer(path: string, method: string | undefined, options: StatusServerOptions, response: ServerResponse): Promise<void> {
  if (method !== "GET" && method !== "HEAD") return send(response, 404, "Route not found");
  if (path === "/health" || path === "/live") return sendHealth(options, response);
  if (path === "/metadata") return send(response, 404, "Discovery metadata not available");
  if (path !== "/metrics") return send(response, 404, "Route not found");
  try {
    send(response, 200, await options.metrics.text(), options.metrics.contentType);
  } catch (error) {
    send(response, 500, `metrics failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function sendHealth({ health, uptimeMs = () => process.uptime() * 1000 }: StatusServerOptions, response: ServerResponse): void {
  const { status, endpoints } = health();
  const nanos = Math.round(uptimeMs() * 1e6);
  const uptime = { secs: Math.floor(nanos / 1e9), nanos: nanos % 1e9 };
  send(response, status === "ready" ? 200 : 503, JSON.stringify({ status, uptime, endpoints }));
}

function send(response: ServerResponse, status: number, body: string, contentType = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": contentType, "content-length": Buffer.byteLength(body) }).end(body);
}

async function listen(server: Server, port: number): Promise<void> {
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(port, listening.resolve);
  try {
    await listening.promise;
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === "EADDRINUSE" ? "is in use by another process" : "cannot be listened on";
    throw new AppError("configuration", `status port ${port} ${reason}: choose another DYN_SYSTEM_PORT`, { cause });
  }
}

async function close(server: Server): Promise<void> {
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  server.closeAllConnections(); // probes keep their connections open
  await closed.promise;
}
