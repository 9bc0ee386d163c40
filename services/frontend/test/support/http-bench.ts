// The frontend's HTTP side over workers that play a script: no NATS, no etcd, no tokenizer.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { ActiveLoad, AppError, Instance, InstanceId, ModelCard } from "@mm-router/protocol";
import {
  type Call,
  createMetrics,
  type EndpointClient,
  type Logger,
  MemoryStore,
  type ResponseStream,
  systemClock,
  noTracer,
} from "@mm-router/runtime";
import { vi } from "vitest";
import { InFlight } from "../../src/http/in-flight.ts";
import { createHttpServer, type ServerDeps } from "../../src/http/server.ts";
import { frontendMetrics } from "../../src/metrics.ts";
import { InstanceDirectory } from "../../src/models/instance-directory.ts";
import { BusyWorkers } from "../../src/models/busy-workers.ts";
import { ModelSet } from "../../src/models/model-set.ts";
import { EndpointWorkers } from "../../src/models/endpoint-workers.ts";
import { WorkerSet } from "../../src/models/worker-set.ts";
import type { TextModel } from "../../src/text/index.ts";

/** Batches of items that a worker answers with; what it throws ends the stream with it. */
export type Script = (call: Call) => AsyncGenerator<readonly Buffer[], void, void>;

/** The frontend's HTTP side over one worker that plays a script. */
export class HttpBench {
  readonly models = new ModelSet();
  readonly inFlight = new InFlight();
  /** What the worker says of its load. */
  readonly loads = new Map<InstanceId, Map<number, ActiveLoad>>();
  readonly busy = new BusyWorkers(
    { decodeBlocks: undefined, prefillTokens: undefined, prefillTokensFrac: undefined },
    { listen: () => {}, of: (id) => this.loads.get(id) },
  );
  readonly metrics = createMetrics({ processMetrics: false });
  readonly calls: Call[] = [];
  readonly cancelled: string[] = [];
  readonly lines: { msg: string; facts?: Readonly<Record<string, unknown>> | undefined }[] = [];
  readonly #discovery = new MemoryStore().connect();
  readonly #server: Server;
  script: Script = async function* () {};
  /** What a call rejects with before a worker has taken it. */
  refusal: AppError | undefined;

  constructor(changes: Partial<ServerDeps> = {}) {
    const line = (msg: string, facts?: Readonly<Record<string, unknown>>) => this.lines.push({ msg, facts });
    const log = { debug: line, info: line, warn: line, error: line, child: () => log } as unknown as Logger;
    this.#server = createHttpServer(
      {
        models: this.models,
        inFlight: this.inFlight,
        directory: new InstanceDirectory(this.#discovery),
        log,
        tracer: noTracer,
        metrics: frontendMetrics(this.metrics, "dynamo_frontend"),
        registry: this.metrics,
        overloadStatus: 529,
        stallMs: 60_000,
        bodyLimits: { bodyMb: 1 },
        validation: { ignoreUnknown: false },
        requestLimits: { imagesMax: 1, promptsMax: 1, dataUrlLengthMax: 10, allowInternalUrls: false },
        imageIdentity: "content",
        hints: { metadataPrefix: "x-dynamo-meta-", nvext: true },
        reasoningField: "reasoning_content",
        streamsForcedCalls: true,
        migration: { limit: 0, sequenceMax: undefined },
        dispatch: { tools: false, reasoning: false },
        paths: {
          chat: "/v1/chat/completions",
          completions: "/v1/completions",
          embeddings: "/v1/embeddings",
          responses: "/v1/responses",
          messages: "/v1/messages",
          models: "/v1/models",
          health: "/health",
          live: "/live",
          metrics: "/metrics",
        },
        anthropicApi: true,
        busy: this.busy,
        adminApi: true,
        version: "0",
        stream: { keepAliveMs: 0, forceUsage: false, earlyErrorMs: 0, qualityHeader: false },
        modelList: { listInternal: false, contextWindow: undefined, maxOutputTokens: undefined },
        ...changes,
      },
      undefined,
    );
  }

  /** @param text for a Tokens worker; without it the worker takes text */
  serve(name: string, { modelType = "Chat", text = undefined as TextModel | undefined } = {}): WorkerSet {
    const client = {
      instances: { list: () => [{ instanceId: 1n } as Instance] },
      direct: async (instanceId: InstanceId, call: Call) => this.#stream(instanceId, call),
      close: () => {},
    } as unknown as EndpointClient;
    const card = { model_type: modelType, model_input: text === undefined ? "Text" : "Tokens", context_length: 64 } as ModelCard;
    const address = { namespace: "ns", component: "c", endpoint: "e" };
    const set = new WorkerSet({
      name,
      address,
      card,
      sum: "s",
      text,
      endpoint: new EndpointWorkers({
        client,
        mode: "round-robin",
        affinity: { ttlMs: undefined, mode: "hard" },
        setAsideMs: 5000,
        clock: systemClock,
        random: () => 0,
      }),
      isBusy: (id) => this.busy.isBusy(id, name, card),
    });
    set.members.add(1n as InstanceId);
    this.models.add(set);
    return set;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Sockets that clients have open. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.url}${path}`, init);
  }

  chat(body: object | string, headers: Record<string, string> = {}): Promise<Response> {
    return this.post("/v1/chat/completions", body, headers);
  }

  post(path: string, body: object | string, headers: Record<string, string> = {}): Promise<Response> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return this.fetch(path, { method: "POST", body: text, headers: { "content-type": "application/json", ...headers } });
  }

  /** Waits until the log has the line of a request that is done. */
  async lastRequest(): Promise<Readonly<Record<string, unknown>>> {
    return vi.waitFor(() => this.lines.find(({ msg }) => msg === "request done")!.facts!, { timeout: 30_000 });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #stream(instanceId: InstanceId, call: Call): ResponseStream {
    this.calls.push(call);
    if (this.refusal !== undefined) throw this.refusal;
    call.signal.addEventListener("abort", () => this.cancelled.push(call.contextId));
    const items = this.script(call);
    return { instanceId, cancel: () => {}, [Symbol.asyncIterator]: () => items };
  }
}
