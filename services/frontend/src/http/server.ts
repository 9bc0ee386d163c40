// The HTTP server: which path is answered by what.
//
//   POST /v1/chat/completions, /v1/completions      raw responses (sse.ts, exchange.ts)
//   GET  /v1/models, /v1/models/{id}[/ready], /health, /live, /metrics      ordinary routes, HEAD included
//   GET  /, /page/…                 the page of what runs, where it is on this port (page/page-routes.ts)
//   GET  /openapi.json, /docs/      what there is here;   GET, POST /busy_threshold      unless the admin API is off
//   another method on these     405 without body, `allow`
//   anything else               404 {"message":"Route not found: GET /nope",…}
//
// Source: Dynamo 1.6.1; evidence: golden frontend get.*, get2.*. A trailing or doubled slash is another route; no CORS.
import type { Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { stringifyJson, toAppError } from "@mm-router/protocol";
import type { Metrics } from "@mm-router/runtime";
import { type Context, Hono } from "hono";
import type { InstanceDirectory } from "../models/instance-directory.ts";
import type { BusyWorkers } from "../models/busy-workers.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import { inferenceRoutes } from "./inference-routes.ts";
import { askBusyThreshold, busyThresholds } from "./busy-threshold.ts";
import { docsPage } from "./docs-page.ts";
import { errorBody, errorFace } from "./error-response.ts";
import { type InferenceDeps, type InferenceRoute, serveInference } from "./inference.ts";
import { anthropicModelById, anthropicModelList, type ModelListOptions, modelById, modelList, modelReadiness } from "./models.ts";
import { openApi } from "./openapi.ts";
import { type PageDeps, pageRoutes } from "../page/page-routes.ts";
import { readJsonBody } from "./request-body.ts";

export interface ServerDeps extends AnswerDeps, InferenceDeps {
  readonly directory: InstanceDirectory;
  readonly registry: Metrics;
  readonly busy: BusyWorkers;
  /** Whether /busy_threshold is there (`DYN_DISABLE_FRONTEND_ADMIN_API` takes it away). */
  readonly adminApi: boolean;
  /** Of this service, told in /openapi.json. */
  readonly version: string;
  readonly modelList: ModelListOptions;
  /** The page of what runs; undefined: it is not on this port. */
  readonly page?: PageDeps | undefined;
}

export interface TlsFiles {
  /** PEM text. */
  readonly cert: string;
  readonly key: string;
}

type Env = { Bindings: HttpBindings };

/** Connections without a request are kept this long: longer than the pools of usual clients and load balancers (60 s). */
const keepAliveTimeoutMs = 75_000;
/** A peer that vanished without a word is found out by TCP's own probes, also while its worker says nothing. */
const probeAfterMs = 60_000;

export function createHttpServer(deps: ServerDeps, tls: TlsFiles | undefined): Server {
  const app = createApp(deps);
  const options = { keepAliveTimeout: keepAliveTimeoutMs, keepAlive: true, keepAliveInitialDelay: probeAfterMs };
  const server = tls
    ? createAdaptorServer({ fetch: app.fetch, createServer: createTlsServer, serverOptions: { ...options, ...tls } })
    : createAdaptorServer({ fetch: app.fetch, serverOptions: options });
  return server as Server;
}

export function createApp(deps: ServerDeps): Hono<Env> {
  const app = new Hono<Env>();
  const { paths } = deps;
  const inference = (route: InferenceRoute) => async (context: Context<Env>) => {
    await serveInference(context.env.incoming, context.env.outgoing, route, deps);
    return RESPONSE_ALREADY_SENT;
  };
  const post = (path: string, route: InferenceRoute) =>
    app.post(path, inference(route)).all(path, (context) => notAllowed(context, "POST"));
  for (const [path, route] of inferenceRoutes(deps)) post(path, route);

  const get = (path: string, answer: (context: Context<Env>) => Response | Promise<Response>) =>
    app.get(path, answer).all(path, (context) => notAllowed(context, "GET,HEAD"));
  get(paths.models, (context) => allModels(context, deps));
  get(`${paths.models}/:id{.+}`, (context) => oneModel(context, deps));
  get(paths.health, (context) => health(context, deps));
  get(paths.live, (context) => live(context, deps));
  get(paths.metrics, async (context) => context.body(await deps.registry.text(), 200, { "content-type": deps.registry.contentType }));

  const description = openApi(deps);
  get("/openapi.json", (context) => json(context, 200, description));
  get("/docs", (context) => context.body(null, 303, { location: "/docs/" }));
  get("/docs/", (context) => context.html(docsPage(description)));
  if (deps.adminApi) {
    app
      .get("/busy_threshold", (context) => json(context, 200, busyThresholds(deps.models, deps.busy)))
      .post("/busy_threshold", (context) => setBusyThreshold(context, deps))
      .all("/busy_threshold", (context) => notAllowed(context, "GET,HEAD,POST"));
  }

  if (deps.page !== undefined) app.route("/", pageRoutes(deps.page));

  app.notFound((context) => {
    const message = `Route not found: ${context.req.method} ${context.req.path}`;
    return json(context, 404, errorBody({ status: 404, message }));
  });
  app.onError((error, context) => failed(context, error, deps));
  return app;
}

function allModels(context: Context<Env>, deps: ServerDeps): Response {
  const list = isAnthropic(context, deps) ? anthropicModelList : modelList;
  return json(context, 200, list(deps.models, deps.modelList));
}

function oneModel(context: Context<Env>, deps: ServerDeps): Response {
  const id = decodedId(context.req.path.slice(`${deps.paths.models}/`.length));
  const found = isAnthropic(context, deps) ? anthropicModelById : modelById;
  if (!id.endsWith("/ready")) return json(context, 200, found(id, deps.models, deps.modelList));
  const { ready, body } = modelReadiness(id.slice(0, -"/ready".length), deps.models);
  return json(context, ready ? 200 : 503, body);
}

/** Whether a client of Anthropic's API asks. */
function isAnthropic(context: Context<Env>, { anthropicApi }: ServerDeps): boolean {
  return anthropicApi && context.req.header("anthropic-version") !== undefined;
}

function decodedId(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // no model has that name either way
  }
}

async function setBusyThreshold(context: Context<Env>, deps: ServerDeps): Promise<Response> {
  try {
    const body = await readJsonBody(context.env.incoming, deps.bodyLimits);
    return json(context, 200, askBusyThreshold(body, deps.models, deps.busy));
  } catch (error) {
    const { status, message } = toAppError(error);
    if (status >= 500) throw error;
    return json(context, status, { error: message });
  }
}

/** Instances of every namespace, also those of other models: healthy with none. */
function health(context: Context<Env>, { directory, inFlight }: ServerDeps): Response {
  if (inFlight.draining) return json(context, 503, { status: "not_ready", stage: "draining", message: "Service is not ready" });
  const instances = directory.instances().map(({ shown }) => shown);
  return json(context, 200, { status: "healthy", endpoints: directory.endpoints(), instances });
}

function live(context: Context<Env>, { inFlight }: ServerDeps): Response {
  if (inFlight.draining) return json(context, 503, { status: "shutting_down", message: "Service is shutting down" });
  return json(context, 200, { status: "live", message: "Service is live" });
}

function failed(context: Context<Env>, error: Error, { log, overloadStatus }: ServerDeps): Response {
  const failure = toAppError(error);
  if (failure.code === "internal")
    log.error("request failed by a bug", { path: context.req.path, error: error.message, stack: error.stack });
  const face = errorFace(failure, overloadStatus);
  return json(context, face.status, errorBody(face));
}

function notAllowed(context: Context<Env>, allow: string): Response {
  return context.body(null, 405, { allow });
}

/** u64 ids are written as digits. */
function json(context: Context<Env>, status: number, body: object): Response {
  const requestId = context.req.header("x-request-id");
  return context.body(stringifyJson(body), status as 200, {
    "content-type": "application/json",
    ...(requestId !== undefined && { "x-request-id": requestId }),
  });
}
