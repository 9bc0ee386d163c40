// The frame around every inference route: gating, drain, errors, counters, one log line.
//
//   draining        503 `Service is not ready`
//   no model kind   404 without a body; routes that begin open answer for themselves until the first model came
//   answer(…)       may throw AppError any time: before the head it becomes an error answer, after it the stream has told it
//   end             counters and the log line, exactly once
//
// I1  Nothing thrown leaves a client waiting, and nothing of a bug's text reaches it.
import { type AppError, toAppError } from "@mm-router/protocol";
import type { Logger, Tracer } from "@mm-router/runtime";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type FrontendMetrics, type InferenceEndpoint, RequestObserver } from "../metrics.ts";
import type { ModelSet } from "../models/model-set.ts";
import type { ModelKind } from "../models/worker-set.ts";
import { type ErrorBodyFacts, errorFace, errorTypeLabel } from "./error-response.ts";
import { Exchange } from "./exchange.ts";
import type { InFlight } from "./in-flight.ts";

export interface InferenceDeps {
  readonly log: Logger;
  readonly metrics: FrontendMetrics;
  readonly tracer: Tracer;
  readonly models: ModelSet;
  readonly inFlight: InFlight;
  /** Status of an overload (`DYN_HTTP_OVERLOAD_STATUS_CODE`). */
  readonly overloadStatus: number;
  /** How long a client may take nothing of its answer. */
  readonly stallMs: number;
}

export interface InferenceRoute {
  readonly endpoint: InferenceEndpoint;
  readonly kind: ModelKind;
  /** When the route is there at all. */
  readonly opens: "with a model" | "until the last one goes" | "always";
  /** Form of its error bodies; default: OpenAI's and Dynamo's. */
  readonly errorForm?: (facts: ErrorBodyFacts) => object;
  readonly answer: (exchange: Exchange) => Promise<void>;
}

/** Serves one request of a route; never rejects. */
export async function serveInference(
  request: IncomingMessage,
  response: ServerResponse,
  route: InferenceRoute,
  deps: InferenceDeps,
): Promise<void> {
  const observer = new RequestObserver(deps.metrics, route.endpoint);
  const span = deps.tracer.begin(`${request.method} ${route.endpoint}`, traceHeaders(request));
  const exchange = new Exchange(request, response, { observer, span, stallMs: deps.stallMs });
  const done = deps.inFlight.begin();
  let failure: AppError | undefined;
  try {
    if (deps.inFlight.draining) exchange.error({ status: 503, message: "Service is not ready" }, route.errorForm);
    else if (!isOpen(route, deps.models)) exchange.empty(404);
    else await route.answer(exchange);
  } catch (error) {
    failure = toAppError(error);
    tellFailure(exchange, failure, route, deps);
  }
  const { clientLeft } = exchange;
  exchange.end();
  exchange.observer.end({ errorType: clientLeft ? "cancelled" : failure === undefined ? "" : errorTypeLabel(failure), clientLeft });
  span.set({ request_id: exchange.contextId, model: exchange.observer.model, "http.response.status_code": response.statusCode });
  span.end(failure);
  logRequest(exchange, failure, clientLeft, deps.log);
  done();
}

/** Of W3C; any other header is nobody's business here. */
function traceHeaders({ headers }: IncomingMessage): Record<string, string> {
  const { traceparent, tracestate } = headers;
  return {
    ...(typeof traceparent === "string" && { traceparent }),
    ...(typeof tracestate === "string" && { tracestate }),
  };
}

function isOpen({ kind, opens }: InferenceRoute, models: ModelSet): boolean {
  if (opens === "always" || models.has(kind)) return true;
  return opens === "until the last one goes" && !models.had(kind);
}

function tellFailure(exchange: Exchange, failure: AppError, { errorForm }: InferenceRoute, deps: InferenceDeps): void {
  if (failure.code === "internal")
    deps.log.error("request failed by a bug", { request_id: exchange.requestId, error: failure.message, stack: stackOf(failure) });
  if (exchange.response.headersSent) return; // told inside the stream
  const face = errorFace(failure, deps.overloadStatus);
  const backendStatus = face.status === 500 && exchange.observer.waitsForBackend ? 500 : undefined;
  const overloaded = failure.status === 529;
  if (overloaded) exchange.observer.rejected();
  const retryable = overloaded || failure.code === "no_instances";
  exchange.error({ ...face, overloaded, retryable, backendStatus }, errorForm);
}

function logRequest(exchange: Exchange, failure: AppError | undefined, clientLeft: boolean, log: Logger): void {
  const { observer } = exchange;
  log.info("request done", {
    request_id: exchange.requestId,
    context_id: exchange.contextId,
    model: observer.model,
    type: observer.type,
    status: exchange.response.statusCode,
    isl_tokens: observer.inputTokens,
    osl_tokens: observer.outputTokens,
    duration_ms: Math.round(exchange.elapsedMs()),
    ...(clientLeft && { client_left: true }),
    ...(failure !== undefined && { error: failure.code, reason: failure.message }),
  });
}

function stackOf(failure: AppError): string | undefined {
  return failure.cause instanceof Error ? failure.cause.stack : failure.stack;
}
