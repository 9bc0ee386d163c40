// Whether and where a process traces, by the standard's own variables.
import type { OtlpOptions } from "./otlp-tracer.ts";
import { noTracer, type Tracer } from "./tracer.ts";

export interface TracingConfig {
  /** `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`: the whole URL. */
  readonly otlpTracesEndpoint?: string | undefined;
  /** `OTEL_EXPORTER_OTLP_ENDPOINT`: a base URL, `/v1/traces` is added. */
  readonly otlpEndpoint?: string | undefined;
}

/** Off unless an endpoint is set; then the SDK is loaded. */
export async function startTracer(config: TracingConfig, service: OtlpOptions["service"]): Promise<Tracer> {
  const url = config.otlpTracesEndpoint ?? (config.otlpEndpoint && `${config.otlpEndpoint.replace(/\/$/, "")}/v1/traces`);
  if (!url) return noTracer;
  const { otlpTracer } = await import("./otlp-tracer.ts");
  return otlpTracer({ url, service });
}
