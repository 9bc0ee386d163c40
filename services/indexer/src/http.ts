// The index over HTTP, for people and for comparing: the read-only routes of Dynamo's standalone indexer, and how fresh everything is.
//
//   GET /health    200, empty
//   GET /metrics   Prometheus text
//   GET /workers   [{"instance_id","source","status","model_name","routing_group","block_size","endpoints","listeners","ranks":{…}}]
//   GET /dump      {"<model>:default":{"block_size":n,"events":[event…]}}      one rank at a time, so that events go on being applied
//   POST /query, /query_by_hash                                                http-query.ts
//
// Workers register themselves in etcd, so there is no /register here. Source: kv.md §11, golden/kv/indexer-http.json; `ranks` is ours.
import { once } from "node:events";
import type { Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { KvIndex } from "@mm-router/kv";
import { AppError, eventWireOf, type InstanceId, stringifyJson } from "@mm-router/protocol";
import type { Metrics } from "@mm-router/runtime";
import { Hono, type HonoRequest } from "hono";
import { queryHashes, type QueryReply, queryTokens } from "./http-query.ts";
import type { RankStatus } from "@mm-router/kv-indexer";
import { rankRows, type StalenessDeps } from "./staleness.ts";

export interface HttpDeps extends StalenessDeps {
  readonly index: KvIndex;
  readonly metrics: Metrics;
}

export interface WorkerStatus {
  readonly workerId: InstanceId;
  readonly models: readonly string[];
  readonly blockSize: number | undefined;
  readonly ranks: readonly RankStatus[];
}

export interface HttpServer {
  /** The real one when 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

const routingGroup = "default";

export function httpApp(deps: HttpDeps): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.get("/health", (context) => context.body(null, 200));
  app.get("/metrics", async (context) => context.body(await deps.metrics.text(), 200, { "content-type": deps.metrics.contentType }));
  app.get("/workers", (context) => context.body(stringifyJson(deps.workers().map(workerRow)), 200, json));
  app.get("/dump", async (context) => {
    await sendDump(deps, context.env.outgoing as ServerResponse);
    return RESPONSE_ALREADY_SENT;
  });
  app.post("/query", async (context) => reply(queryTokens(deps, await bodyOf(context.req))));
  app.post("/query_by_hash", async (context) => reply(queryHashes(deps, await bodyOf(context.req))));
  app.notFound((context) => context.body(stringifyJson({ error: `no route ${context.req.path}` }), 404, json));
  app.onError((error, context) => context.body(stringifyJson({ error: error.message }), 500, json));
  return app;
}

const json = { "content-type": "application/json" };

function reply({ status, body, headers }: QueryReply): Response {
  return typeof body === "string"
    ? new Response(body, { status })
    : new Response(stringifyJson(body), { status, headers: { ...json, ...headers } });
}

/** Queries may be long prompts, nothing more. */
const bodyBytesMax = 16 * 1024 * 1024;

async function bodyOf(request: HonoRequest): Promise<Uint8Array> {
  const declared = Number(request.header("content-length") ?? 0);
  if (declared > bodyBytesMax) throw new AppError("invalid_request", `a query has at most ${bodyBytesMax} bytes`);
  return new Uint8Array(await request.arrayBuffer());
}

/** @throws AppError `configuration` when the port is taken or not allowed */
export async function serveHttp(host: string, port: number, deps: HttpDeps): Promise<HttpServer> {
  const server = createAdaptorServer({ fetch: httpApp(deps).fetch, hostname: host }) as Server;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    throw new AppError("configuration", `HTTP port ${port} cannot be listened on: choose another --http-port`, { cause });
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function workerRow({ workerId, models, blockSize, ranks }: WorkerStatus): object {
  return {
    instance_id: workerId,
    source: "dynamo",
    status: ranks.every(({ state }) => state === "live") ? "active" : "syncing",
    model_name: models[0] ?? null,
    routing_group: routingGroup,
    block_size: blockSize ?? null,
    endpoints: {},
    listeners: {},
    ranks: rankRows(ranks),
  };
}

/** Writes rank after rank; a slow reader holds up itself alone. */
async function sendDump(deps: HttpDeps, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(200, json);
  const groups = Map.groupBy(deps.workers(), ({ models }) => models[0] ?? "");
  let before = "{";
  for (const [model, workers] of groups) {
    const head = stringifyJson({ block_size: workers[0]!.blockSize ?? null }).slice(0, -1);
    await write(outgoing, `${before}${stringifyJson(`${model}:${routingGroup}`)}:${head},"events":[`);
    await sendEvents(deps.index, workers, outgoing);
    before = "]},";
  }
  outgoing.end(groups.size === 0 ? "{}" : "]}}");
}

async function sendEvents(index: KvIndex, workers: readonly WorkerStatus[], outgoing: ServerResponse): Promise<void> {
  let separator = "";
  for (const { worker } of workers.flatMap(({ ranks }) => ranks)) {
    const events = Array.from(index.dump(worker), (event) => stringifyJson(eventWireOf(event)));
    if (events.length === 0) continue;
    await write(outgoing, separator + events.join(","));
    separator = ",";
  }
}

async function write(outgoing: ServerResponse, text: string): Promise<void> {
  if (outgoing.destroyed) throw new AppError("client_closed", "the reader of the dump left");
  if (!outgoing.write(text)) await Promise.race([once(outgoing, "drain"), once(outgoing, "close")]);
}
