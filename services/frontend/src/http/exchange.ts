// One inference request and its answer on one socket.
//
// I1  The signal aborts when the client leaves before the answer is complete, and when the answer is complete: whatever still
//     runs for this request ends with it.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { AppError, stringifyJson } from "@mm-router/protocol";
import type { Span } from "@mm-router/runtime";
import type { RequestObserver } from "../metrics.ts";
import { contextIdOf } from "../preprocess/request-hints.ts";
import { errorBody, type ErrorBodyFacts } from "./error-response.ts";
import { EventStream } from "./sse.ts";

/** Load changes within seconds; clients that read the header wait that long instead of hammering. */
const retryAfterS = "1";

/** One for all: an error with its stack costs as much as ten tokens, and nobody sees this one. */
const complete = new AppError("client_closed", "the answer is complete");

export interface ExchangeParts {
  readonly observer: RequestObserver;
  readonly span: Span;
  /** How long a client may take nothing of its answer. */
  readonly stallMs: number;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly observer: RequestObserver;
  readonly span: Span;
  /** Names the request on its way to the worker and in the answer's id. */
  readonly contextId: string;
  /** `x-request-id` of the answer: the client's own, else the context id. */
  readonly requestId: string;
  readonly receivedAtMs = Date.now();
  /** Of the answer, beside those that every answer has; to be set before it begins. */
  readonly headers: Record<string, string> = {};
  readonly #begun = performance.now();
  readonly #abort = new AbortController();
  readonly #stallMs: number;

  constructor(request: IncomingMessage, response: ServerResponse, { observer, span, stallMs }: ExchangeParts) {
    this.#stallMs = stallMs;
    this.request = request;
    this.response = response;
    this.observer = observer;
    this.span = span;
    this.contextId = contextIdOf(request.headers);
    this.requestId = requestIdOf(request) ?? this.contextId;
    response.once("close", () => {
      if (!response.writableFinished) this.#abort.abort(new AppError("client_closed", "the client left"));
    });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Whether the client left before its answer was complete. */
  get clientLeft(): boolean {
    return this.#abort.signal.aborted;
  }

  /**
   * Whether the client is one of OpenAI's libraries, which say so: they take the data of every event for JSON, and openai-python ends a
   * stream with an exception at an annotation, which has none (1.6.1).
   */
  get parsesEveryEvent(): boolean {
    return this.request.headers["x-stainless-lang"] !== undefined;
  }

  elapsedMs(): number {
    return performance.now() - this.#begun;
  }

  /** Begins a stream of events; nothing else can be answered after it. */
  events(keepAliveMs: number): EventStream {
    return new EventStream(this.response, { "x-request-id": this.requestId, ...this.headers }, { keepAliveMs, stallMs: this.#stallMs });
  }

  json(body: object): void {
    this.#send(200, body);
  }

  /** @param form of the API's error bodies; default: OpenAI's and Dynamo's */
  error(facts: ErrorBodyFacts, form: (facts: ErrorBodyFacts) => object = errorBody): void {
    this.#send(facts.status, form(facts), facts.retryable === true ? { "retry-after": retryAfterS } : {});
  }

  /** An answer without body and content type. */
  empty(status: number): void {
    this.response.writeHead(status, { "x-request-id": this.requestId }).end();
  }

  /** Ends what still runs for this request (I1). */
  end(): void {
    this.#abort.abort(complete);
  }

  #send(status: number, body: object, more: Readonly<Record<string, string>> = {}): void {
    if (this.response.destroyed) return;
    const headers = { "content-type": "application/json", "x-request-id": this.requestId, ...this.headers, ...more };
    this.response.writeHead(status, headers).end(stringifyJson(body));
    this.response.setTimeout(this.#stallMs);
  }
}

/** The client's own name of its request; a header that could split ours is nobody's name. */
export function requestIdOf(request: IncomingMessage): string | undefined {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && given !== "" ? given : undefined;
}

/** A name for answers that belong to no request of their own. */
export function newRequestId(): string {
  return randomUUID();
}
