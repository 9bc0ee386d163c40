// What the frontend counts, under the names that Dynamo's dashboards read.
//
// Source: Dynamo 1.6.1 (names, labels, buckets); evidence: golden frontend metrics.json.
// I1  Labels are bounded: a model that is not served counts as `unknown_model`.
import type { Metrics } from "@mm-router/runtime";
import type { TextModel } from "./text/index.ts";

export type InferenceEndpoint = "chat_completions" | "completions" | "embeddings" | "responses" | "anthropic_messages";
export type RequestType = "stream" | "unary";

const tokenBuckets = [0, 100, 210, 430, 870, 1800, 3600, 7400, 15_000, 31_000, 63_000, 130_000];
const outputBuckets = [0, 100, 210, 430, 880, 1800, 3700, 7600, 16_000, 32_000];
const durationBuckets = [0, 2, 4, 8, 16, 32, 64, 130, 260, 510];
const firstTokenBuckets = [0, 0.0022, 0.0047, 0.01, 0.022, 0.047, 0.1, 0.22, 0.47, 1, 2.2, 4.7, 10, 22, 48, 100, 220, 480];
const interTokenBuckets = [
  0, 0.0018, 0.0033, 0.0059, 0.011, 0.02, 0.035, 0.064, 0.12, 0.21, 0.38, 0.69, 1.2, 2.3, 4.1, 7.4, 13, 24, 44, 80,
];
const tokenizerBuckets = [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

export const unknownModel = "unknown_model";

export type FrontendMetrics = ReturnType<typeof frontendMetrics>;

/** @param prefix of all names (`--metrics-prefix`) */
export function frontendMetrics(metrics: Metrics, prefix: string) {
  const name = (rest: string) => `${prefix}_${rest}`;
  const model = ["model"] as const;
  const request = ["model", "endpoint", "request_type"] as const;
  return {
    requests: metrics.counter(name("requests_total"), "Finished requests", [...request, "status", "error_type"] as const),
    started: metrics.counter(name("requests_started_total"), "Requests that were begun", request),
    inflight: metrics.gauge(name("inflight_requests"), "Requests that a worker answers", model),
    active: metrics.gauge(name("active_requests"), "Requests from the first byte to the end of the answer", model),
    queued: metrics.gauge(name("queued_requests"), "Requests that wait for their first token", model),
    disconnected: metrics.gauge(name("disconnected_clients"), "Clients that left before their answer was complete"),
    duration: metrics.histogram(name("request_duration_seconds"), "Duration of requests", durationBuckets, model),
    firstToken: metrics.histogram(name("time_to_first_token_seconds"), "Time to the first token", firstTokenBuckets, model),
    interToken: metrics.boundHistogram(name("inter_token_latency_seconds"), "Time between tokens", interTokenBuckets, model),
    inputTokens: metrics.histogram(name("input_sequence_tokens"), "Tokens of the prompt", tokenBuckets, model),
    outputTokens: metrics.histogram(name("output_sequence_tokens"), "Tokens of the answer", outputBuckets, model),
    cachedTokens: metrics.histogram(name("cached_tokens"), "Tokens of the prompt that the worker had in its cache", tokenBuckets, model),
    outputTokensTotal: metrics.boundCounter(name("output_tokens_total"), "Tokens of all answers", model),
    cancellations: metrics.counter(name("model_cancellation_total"), "Requests whose client left", request),
    migrations: metrics.counter(name("model_migration_total"), "Requests that went on at another worker", [
      "model",
      "migration_type",
    ] as const),
    rejections: metrics.counter(name("model_rejection_total"), "Requests that were refused because every worker was busy", [
      "model",
      "endpoint",
    ] as const),
    tokenizerLatency: metrics.histogram(name("tokenizer_latency_ms"), "Time that a tokenizer takes", tokenizerBuckets, [
      "operation",
    ] as const),
    contextLength: metrics.gauge(name("model_context_length"), "Context length of the model's card", model),
    blockSize: metrics.gauge(name("model_kv_cache_block_size"), "KV block size of the model's card", model),
    migrationLimit: metrics.gauge(name("model_migration_limit"), "Migration limit of the model's card", model),
  };
}

/** The same model, its encoding timed. */
export function timedText(text: TextModel, { tokenizerLatency }: FrontendMetrics): TextModel {
  const timed = async (begun: number, ids: Uint32Array | Promise<Uint32Array>) => {
    const encoded = await ids;
    tokenizerLatency.observe({ operation: "tokenize" }, performance.now() - begun);
    return encoded;
  };
  return { ...text, encodeAside: (written) => timed(performance.now(), text.encodeAside(written)) };
}

/** How one request ends, for the counters and the log line. */
export interface RequestOutcome {
  /** "" for a success. */
  readonly errorType: string;
  readonly clientLeft: boolean;
}

/** Follows one request through the counters; `end` is called exactly once. */
export class RequestObserver {
  readonly #metrics: FrontendMetrics;
  readonly #endpoint: InferenceEndpoint;
  readonly #begun = performance.now();
  #model = unknownModel;
  #type: RequestType = "unary";
  #dispatched = false;
  #lastItemAt: number | undefined;
  /** Of this model: the per-token path looks no labels up. */
  #interToken: { observe(seconds: number): void } | undefined;
  #outputTokens: { add(count: number): void } | undefined;
  inputTokens = 0;
  outputTokens = 0;
  /** Known at the end, when the worker says it. */
  cachedTokens: number | undefined;

  constructor(metrics: FrontendMetrics, endpoint: InferenceEndpoint) {
    this.#metrics = metrics;
    this.#endpoint = endpoint;
    metrics.active.inc({ model: this.#model });
  }

  get model(): string {
    return this.#model;
  }

  /** A worker was asked and has not said anything: what fails now is the backend's. */
  get waitsForBackend(): boolean {
    return this.#dispatched && this.#lastItemAt === undefined;
  }

  get type(): RequestType {
    return this.#type;
  }

  /** The request is typed and its model is served. */
  identified(model: string, type: RequestType): void {
    this.#metrics.active.dec({ model: this.#model });
    this.#model = model;
    this.#type = type;
    this.#metrics.active.inc({ model });
    this.#metrics.started.inc({ model, endpoint: this.#endpoint, request_type: type });
  }

  /** The request goes on at another worker. */
  migrated(): void {
    this.#metrics.migrations.inc({ model: this.#model, migration_type: "ongoing_request" });
  }

  /** Every worker was too busy. */
  rejected(): void {
    this.#metrics.rejections.inc({ model: this.#model, endpoint: this.#endpoint });
  }

  /** A prompt is ready; the request goes to a worker. */
  dispatched(inputTokens: number): void {
    this.inputTokens += inputTokens;
    if (this.#dispatched) return;
    this.#dispatched = true;
    this.#interToken = this.#metrics.interToken.of({ model: this.#model });
    this.#outputTokens = this.#metrics.outputTokensTotal.of({ model: this.#model });
    this.#metrics.inflight.inc({ model: this.#model });
    this.#metrics.queued.inc({ model: this.#model });
  }

  /** An item came. @param tokens that it adds to the answer; 0 when that is not known */
  progress(tokens: number): void {
    const now = performance.now();
    if (this.#lastItemAt === undefined) {
      this.#metrics.firstToken.observe({ model: this.#model }, (now - this.#begun) / 1000);
      this.#metrics.queued.dec({ model: this.#model });
    } else if (tokens > 0) {
      this.#interToken?.observe((now - this.#lastItemAt) / 1000 / tokens);
    }
    this.#lastItemAt = now;
    this.outputTokens += tokens;
    this.#outputTokens?.add(tokens);
  }

  end({ errorType, clientLeft }: RequestOutcome): void {
    const metrics = this.#metrics;
    const model = this.#model;
    const labels = { model, endpoint: this.#endpoint, request_type: this.#type };
    metrics.active.dec({ model });
    if (this.#dispatched) metrics.inflight.dec({ model });
    if (this.#dispatched && this.#lastItemAt === undefined) metrics.queued.dec({ model });
    metrics.requests.inc({ ...labels, status: errorType === "" ? "success" : "error", error_type: errorType });
    metrics.duration.observe({ model }, (performance.now() - this.#begun) / 1000);
    if (clientLeft) {
      metrics.disconnected.inc();
      metrics.cancellations.inc(labels);
    }
    if (!this.#dispatched) return;
    metrics.inputTokens.observe({ model }, this.inputTokens);
    metrics.outputTokens.observe({ model }, this.outputTokens);
    if (this.cachedTokens !== undefined) metrics.cachedTokens.observe({ model }, this.cachedTokens);
  }
}
