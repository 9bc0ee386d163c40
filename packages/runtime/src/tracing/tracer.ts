// Spans of requests, joined over processes by W3C headers. Off, it costs one empty object.
//
//   client ─ traceparent ─▶ frontend ─ traceparent ─▶ mm-router ─ traceparent ─▶ worker (≥ 1.4, with tracing on)
//              begin(headers) ▲  └ span.headers ▶ the next call
//
// Parents are passed on explicitly, as signals are: nothing hangs on the event loop's context.
import type { AppError } from "@mm-router/protocol";

export type SpanFacts = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** What a call within this span carries; empty when tracing is off. */
  readonly headers: Readonly<Record<string, string>>;
  set(facts: SpanFacts): void;
  /** To be called once. */
  end(failure?: AppError): void;
}

/** Whether this process was asked, or asks another. */
export type SpanKind = "server" | "client";

export interface Tracer {
  /**
   * Begins a span of this process.
   *
   * @param headers of whoever asks, or of the span that this one is a part of: the `traceparent` among them names the parent; a
   *   malformed one is none
   * @param kind default: `server`
   */
  begin(name: string, headers: Readonly<Record<string, string>>, facts?: SpanFacts, kind?: SpanKind): Span;
  /** Sends what is left. Never rejects. */
  close(): Promise<void>;
}

const noSpan: Span = { headers: {}, set: () => {}, end: () => {} };

/** Tracing is off: what a caller sent is passed on as it came. */
export const noTracer: Tracer = { begin: () => noSpan, close: async () => {} };
