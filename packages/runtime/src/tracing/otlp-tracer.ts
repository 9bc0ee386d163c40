// Spans sent to a collector over OTLP/HTTP. Loaded only where an endpoint is set.
//
// I1  A collector that is away, slow or refuses costs spans, nothing else: the queue is bounded, and what does not fit is dropped.
// I2  No prompt, URL or answer enters a span.
import { ROOT_CONTEXT, type Span as OtelSpan, SpanKind as OtelKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Span, SpanKind, Tracer } from "./tracer.ts";

export interface OtlpOptions {
  /** Where spans are posted, whole: `http://collector:4318/v1/traces`. */
  readonly url: string;
  readonly service: { readonly name: string; readonly version: string };
}

/** For a collector that does not answer at the end of the process. */
const exportTimeoutMs = 5_000;

const kinds: Readonly<Record<SpanKind, OtelKind>> = { server: OtelKind.SERVER, client: OtelKind.CLIENT };
const propagator = new W3CTraceContextPropagator();
const text = {
  get: (carrier: Readonly<Record<string, string>>, key: string) => carrier[key],
  keys: (carrier: Readonly<Record<string, string>>) => Object.keys(carrier),
  set: (carrier: Record<string, string>, key: string, value: string) => void (carrier[key] = value),
};

export function otlpTracer({ url, service }: OtlpOptions): Tracer {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: exportTimeoutMs });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": `mm-router-${service.name}`, "service.version": service.version }),
    spanProcessors: [new BatchSpanProcessor({ exporter, exportTimeoutMillis: exportTimeoutMs })],
  });
  const tracer = provider.getTracer("mm-router", service.version);
  return {
    begin: (name, headers, facts = {}, kind = "server") => {
      const parent = propagator.extract(ROOT_CONTEXT, headers, text);
      return spanOf(tracer.startSpan(name, { kind: kinds[kind], attributes: facts }, parent));
    },
    close: () => provider.shutdown().catch(() => {}), // I1
  };
}

function spanOf(span: OtelSpan): Span {
  const headers: Record<string, string> = {};
  propagator.inject(trace.setSpan(ROOT_CONTEXT, span), headers, text);
  return {
    headers,
    set: (facts) => void span.setAttributes(facts),
    end(failure) {
      if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure.code });
      span.end();
    },
  };
}
