// A handler in service: request envelopes in, each answered on a stream of its own.
//
//   envelope ▶ decode ▶ call home ▶ null prologue ▶ handler ▶ complete_final, sentinel
//                 ✗ logged: upstream is silent, too    ✗ AppError: error item first   ✗ StreamAborted: no complete_final
//
// I1  what cannot be decoded names nobody to answer to; everything else is answered.
// I2  after `drain` every stream is over.
import {
  AppError,
  type CallHome,
  decodeRequestEnvelope,
  type EndpointAddress,
  errorItem,
  type RequestEnvelope,
  toAppError,
} from "@mm-router/protocol";
import { withDeadline } from "../flow/index.ts";
import type { Logger } from "../service/index.ts";
import type { Tracer } from "../tracing/index.ts";
import { type Handler, StreamAborted } from "./handler.ts";
import type { RequestPlaneConfig } from "./request-plane-config.ts";
import type { Headers, RequestTaker } from "./request-transport.ts";
import { AnswerStream } from "./response-dialer.ts";
import type { ServedRequestMetrics } from "./served-request-metrics.ts";

/** How long handlers may go on after their signal has aborted at the end of a drain. */
const ABANDON_AFTER_MS = 2_000;

export interface ServedHandlerDeps {
  readonly address: EndpointAddress;
  readonly config: RequestPlaneConfig;
  readonly log: Logger;
  readonly metrics: ServedRequestMetrics;
  readonly tracer: Tracer;
}

export class ServedHandler {
  readonly #handler: Handler;
  readonly #deps: ServedHandlerDeps;
  readonly #streams = new Set<AnswerStream>();
  readonly #running = new Set<Promise<void>>();

  constructor(handler: Handler, deps: ServedHandlerDeps) {
    this.#handler = handler;
    this.#deps = deps;
  }

  /** Requests whose stream is not over. */
  get inProgress(): number {
    return this.#running.size;
  }

  readonly take: RequestTaker = (envelope, headers) => {
    const running = this.#serve(envelope, headers)
      .catch((error: unknown) => this.#deps.log.warn("request could not be answered", { error }))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  };

  /** Waits until every request is answered; after `deadlineMs` ends the rest without complete_final. Never rejects. */
  async drain(deadlineMs: number): Promise<void> {
    const late = setTimeout(() => this.#abortAll(), deadlineMs);
    await withDeadline(this.#idle(), deadlineMs + ABANDON_AFTER_MS, "ending the requests in progress").catch((error: unknown) => {
      this.#deps.log.error("requests outlive their endpoint", { requests: this.#running.size, error });
    });
    clearTimeout(late);
  }

  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #abortAll(): void {
    const reason = new AppError("worker_lost", "this process is shutting down");
    for (const stream of this.#streams) stream.abort(reason);
  }

  async #serve(bytes: Buffer, headers: Headers): Promise<void> {
    const envelope = decodeRequestEnvelope(bytes, this.#deps.config);
    const { address, config, log, metrics, tracer } = this.#deps;
    const stream = new AnswerStream(envelope.control.callHome, envelope.codec, config);
    this.#streams.add(stream);
    stream.reached.catch((error: unknown) => log.warn("request could not be answered", { error }));
    const done = metrics.started();
    const span = tracer.begin(`${address.component}/${address.endpoint}`, headers, { request_id: envelope.control.contextId });
    try {
      stream.accept();
      const outcome = await this.#answer(stream, envelope, { ...headers, ...span.headers });
      done(outcome);
      span.end(outcome);
      await stream.gone;
    } finally {
      this.#streams.delete(stream);
    }
  }

  /** Runs the handler and ends the stream as the handler ended. Never rejects. */
  async #answer(stream: AnswerStream, { control, codec, body }: RequestEnvelope, headers: Headers): Promise<AppError | undefined> {
    const { contextId, metadata = {} } = control;
    try {
      if (this.#streams.size > this.#deps.config.requestsInProgressMax) throw new AppError("overloaded", "too many requests in progress");
      await this.#handler({ contextId, codec, body, metadata, headers, signal: stream.signal, reached: stream.reached }, stream);
      stream.complete();
      return undefined;
    } catch (error) {
      if (error instanceof StreamAborted) {
        const lost = new AppError("worker_lost", error.message, { cause: error });
        stream.abort(lost);
        return lost;
      }
      return this.#endWithError(stream, toAppError(error), contextId);
    }
  }

  async #endWithError(stream: AnswerStream, error: AppError, contextId: string): Promise<AppError> {
    if (error.code === "internal") this.#deps.log.error("handler failed", { request_id: contextId, error });
    await stream.item(errorItem(error));
    stream.complete();
    return error;
  }
}

/**
 * Refuses a request that reached a process which does not serve its endpoint (any more): its caller is told over its stream,
 * since real callers hang on an ack text.
 */
export async function refuseRequest(bytes: Buffer, reason: string, config: RequestPlaneConfig): Promise<void> {
  const { control, codec } = decodeRequestEnvelope(bytes, config);
  const callHome: CallHome = control.callHome;
  const stream = new AnswerStream(callHome, codec, config);
  stream.refuse(reason);
  await stream.reached;
  await stream.gone;
}
