// The story of a request. Ack, call-home and the null prologue went out before; a client that leaves aborts the signal.
//
//   read ─▶ plan (images, hashes, index) ─▶ choose and book ─▶ worker ─ taken ─▶ relay ─▶ freed once
//                                                  ▲             │ not taken
//                                                  └─────────────┘
//
// I1  The router's opinion is optional, the request is not: only "no worker", and what is known to kill workers, is refused.
// I2  After a worker took the request nobody else gets it: it may be what kills workers.
// I3  A booking ends exactly once, on every way out.
import { AppError, type InstanceId, parseJson } from "@mm-router/protocol";
import {
  type Clock,
  type EndpointClient,
  type Handler,
  type IncomingRequest,
  isNotTaken,
  type Logger,
  type ResponseStream,
  StreamAborted,
} from "@mm-router/runtime";
import { forwardedBody } from "./forwarded-request.ts";
import { lethalRequest } from "./lethal-request.ts";
import type { Outcome, RouterMetrics } from "./metrics.ts";
import { asksForQuality, qualityItem } from "./quality-annotation.ts";
import { objectBytes, type ReceivedRequest, readRequest } from "./received-request.ts";
import { RequestLog, type RequestLogDeps } from "./request-log.ts";
import { ActiveLoad } from "./routing/active-load.ts";
import type { KvRouter } from "./routing/kv-router.ts";
import type { Quality } from "./routing/degrade.ts";
import { relay, type RelayEnd } from "./routing/relay.ts";
import type { Choice, RoutingPlan } from "./routing/routing-plan.ts";

export interface HandlerDeps {
  readonly router: Pick<KvRouter, "plan">;
  readonly workers: Pick<EndpointClient, "direct">;
  readonly metrics: RouterMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly decisions: RequestLogDeps["decisions"];
  readonly seen: RequestLogDeps["seen"];
}

export function createHandler(deps: HandlerDeps): Handler {
  return async (incoming, sink) => {
    const record = new RequestLog(incoming.contextId, deps);
    try {
      const request = readRequest(incoming);
      record.received(request);
      const plan = await deps.router.plan(request, incoming.signal);
      const { stream, load, quality } = await firstTaker(plan, { incoming, request, record }, deps);
      if (asksForQuality(request)) await sink.item(qualityItem(quality));
      const onItems = (count: number) => {
        if (load.received(count) === "first") record.firstToken();
      };
      const end = await relay(stream, sink, { codec: incoming.codec, onItems }).finally(() => leave(load, incoming.signal));
      if (end.kind === "lost") throw lossFor(end);
      if (end.kind === "ended") record.delivered(end.cachedTokens);
      record.finished(end.kind === "ended" ? "ended" : "worker_failed", end.kind === "ended" ? undefined : end.error);
    } catch (error) {
      record.finished(outcomeOf(error), error instanceof StreamAborted ? error.cause : error);
      throw error;
    }
  };
}

interface Story {
  readonly incoming: IncomingRequest;
  readonly request: ReceivedRequest;
  readonly record: RequestLog;
}

interface Taken {
  readonly stream: ResponseStream;
  readonly quality: Quality;
  readonly load: ActiveLoad;
}

/** Sends the request to the best worker, and to the next best one as long as it is not taken. */
async function firstTaker(plan: RoutingPlan, { incoming, request, record }: Story, deps: HandlerDeps): Promise<Taken> {
  const refused = new Set<InstanceId>();
  await incoming.reached; // no worker computes for a caller that cannot be answered
  let reason: AppError | undefined;
  for (;;) {
    const choice = plan.choose(refused);
    if (choice === undefined) throw nobodyFor(reason);
    const load = loadOf(choice, request, deps.clock);
    try {
      const lethal = lethalRequest(request, choice.worker);
      if (lethal !== undefined) throw lethal;
      record.chosen(choice);
      return { stream: await send(choice, incoming, request, deps), load, quality: choice.quality };
    } catch (error) {
      leave(load, incoming.signal);
      if (!isNotTaken(error)) throw error;
      record.retried();
      refused.add(choice.worker.instanceId);
      reason = error;
    }
  }
}

function send(
  { worker, dpRank, prompt }: Choice,
  incoming: IncomingRequest,
  request: ReceivedRequest,
  deps: HandlerDeps,
): Promise<ResponseStream> {
  const { contextId, signal, metadata, headers } = incoming;
  const body = forwardedBody(request, {
    dpRank,
    mmHashes: worker.dialect.readsMmHashes ? prompt.mmHashes : undefined,
    restoreUrls: worker.dialect.readsImagePromptFromMessages,
  });
  return deps.workers.direct(worker.instanceId, { contextId, body, signal, metadata, headers });
}

function loadOf({ booking, worker }: Choice, request: ReceivedRequest, clock: Clock): ActiveLoad {
  return new ActiveLoad({ booking, abortsOnCancel: worker.dialect.abortsOnCancel, tokensMax: () => tokensMaxOf(request), clock });
}

/** `stop_conditions.max_tokens`; undefined when the request leaves it open. */
function tokensMaxOf({ body, members }: ReceivedRequest): number | undefined {
  const conditions = objectBytes(body, members, "stop_conditions");
  const { max_tokens } = (conditions === undefined ? {} : parseJson(conditions)) as { max_tokens?: unknown };
  return typeof max_tokens === "number" ? max_tokens : undefined;
}

function leave(load: ActiveLoad, signal: AbortSignal): void {
  if (signal.aborted) load.abandoned();
  else load.ended();
}

/** Nobody is left who might take the request. */
function nobodyFor(reason: AppError | undefined): AppError {
  if (reason === undefined) return new AppError("no_instances", "no worker serves this model");
  const code = reason.code === "overloaded" || reason.code === "body_too_large" ? reason.code : "no_instances";
  return new AppError(code, `no worker took the request: ${reason.message}`, { cause: reason });
}

/** After items the stream is broken off, so that a frontend that can migrate does; before, the client gets the error. */
function lossFor({ error, afterItems }: Extract<RelayEnd, { kind: "lost" }>): Error {
  return afterItems ? new StreamAborted(`the worker's stream was lost: ${error.message}`, error) : error;
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof StreamAborted) return "worker_lost";
  if (!(error instanceof AppError)) return "error";
  if (error.code === "client_closed" || error.code === "worker_lost") return error.code;
  if (error.code === "no_instances" || error.code === "overloaded") return "not_taken";
  return error.status < 500 ? "refused" : "error";
}
