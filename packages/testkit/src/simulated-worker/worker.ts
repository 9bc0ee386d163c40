// A worker without a model: real registration, real streams, real KV events, made-up answers.
//
//   request ─► expandPrompt ─► engine.submit ─┐
//                                             ├─ timer: engine.step ─► items to the callers, events to the feed
//   caller gone ───────────► engine.abort ────┘
//
// It plays an aggregated `dynamo.trtllm` of 1.4.2 unless told otherwise, and says "simulated" in its card and its log lines.
import {
  AppError,
  type CompletionUsage,
  cardKey,
  decodeBody,
  decodePreprocessedRequest,
  dialectOf,
  type EndpointAddress,
  encodeCardEntry,
  type EngineOutput,
  type InstanceId,
  type PreprocessedRequest,
} from "@mm-router/protocol";
import { BoundedQueue, type IncomingRequest, type Logger, type ResponseSink, type Runtime, StreamAborted } from "@mm-router/runtime";
import { type EngineConfig, type EngineStep, SimulatedEngine } from "./engine.ts";
import { KvFeed } from "./kv-feed.ts";
import { type FaultKind, type Script, type ScriptedAnswer, sentenceScript } from "./script.ts";
import { readWorkerModel, workerCard, type WorkerModel } from "./worker-model.ts";
import { expandPrompt, type ImageNames } from "./worker-request.ts";

export interface SimulatedWorkerOptions {
  readonly address: EndpointAddress;
  /** Model folder. */
  readonly model: string;
  readonly servedName: string;
  /** The Dynamo release to play. Default 1.4.2. */
  readonly release?: string;
  readonly engine?: Partial<EngineConfig>;
  readonly script?: Script;
  /** Needed for images by releases before 1.4 (worker-request.ts). */
  readonly imageNames?: ImageNames;
  readonly log: Logger;
}

export interface SimulatedWorker {
  readonly instanceId: InstanceId;
  /** Requests that have come so far. */
  readonly requests: number;
  /** Withdraws, lets running streams end for `deadlineMs`, closes. */
  close(deadlineMs: number): Promise<void>;
}

/** About an 8-GPU-hour model's pace, shrunk so that tests need not wait for it. */
export const engineDefaults: EngineConfig = { blockSize: 32, blocks: 4096, batchMax: 64, prefillUs: 20, tokenMs: 5 };

/** Registers the worker and serves until `close`. */
export async function startSimulatedWorker(runtime: Runtime, options: SimulatedWorkerOptions): Promise<SimulatedWorker> {
  const dialect = dialectOf(options.release ?? "1.4.2");
  const model = readWorkerModel(options.model);
  const config = { ...engineDefaults, ...options.engine };
  const { address, servedName, log } = options;
  const { blockSize, blocks } = config;
  const feed = await KvFeed.start(runtime, { address, dialect, blockSize, imageTokenId: model.imageTokenId });
  const loop = new EngineLoop(new SimulatedEngine(config), feed, log);
  const names = dialect.readsMmHashes ? undefined : (options.imageNames ?? new Map<string, bigint>());
  const serving = new Serving({ model, loop, names, script: options.script ?? sentenceScript(), allChoices: dialect.streamsAllChoices });

  const card = await workerCard({ model, servedName, dialect, blockSize, blocks });
  await runtime.discovery.register((instanceId) => ({
    key: cardKey(address, instanceId),
    value: encodeCardEntry({ address, instanceId, card }),
  }));
  const served = await runtime.endpoint(address).serve((request, sink) => serving.handle(request, sink));
  log.info("simulated worker serves", { model: servedName, release: dialect.release });
  return {
    get instanceId() {
      return served.instanceId;
    },
    get requests() {
      return serving.requests;
    },
    async close(deadlineMs) {
      await served.withdraw();
      await served.drain(deadlineMs);
      loop.stop();
    },
  };
}

/** Steps the engine when something is due and hands out what it says. */
class EngineLoop {
  readonly #engine: SimulatedEngine;
  readonly #feed: KvFeed;
  readonly #log: Logger;
  readonly #listeners = new Map<string, BoundedQueue<EngineStep>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(engine: SimulatedEngine, feed: KvFeed, log: Logger) {
    this.#engine = engine;
    this.#feed = feed;
    this.#log = log;
  }

  /** The steps of one request; leaving the loop early aborts it. */
  async *run(request: Parameters<SimulatedEngine["submit"]>[0]): AsyncGenerator<EngineStep> {
    const steps = new BoundedQueue<EngineStep>(request.tokensMax + 1);
    this.#listeners.set(request.id, steps);
    try {
      this.#engine.submit(request);
      this.#step();
      for await (const step of steps) {
        yield step;
        if (step.end !== undefined) return;
      }
    } finally {
      this.#listeners.delete(request.id);
      this.#engine.abort(request.id);
      this.#step();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #step(): void {
    clearTimeout(this.#timer);
    for (const step of this.#engine.step(performance.now())) this.#listeners.get(step.id)?.offer(step);
    this.#feed.publish(this.#engine.takeEvents()).catch((error: unknown) => this.#log.warn("simulated worker lost KV events", { error }));
    const dueAt = this.#engine.nextDueAt();
    if (dueAt !== undefined) this.#timer = setTimeout(() => this.#step(), Math.max(0, dueAt - performance.now()));
  }
}

interface ServingParts {
  readonly model: WorkerModel;
  readonly loop: EngineLoop;
  readonly names: ImageNames | undefined;
  readonly script: Script;
  /** Of `n` choices all are told, not the first alone. */
  readonly allChoices: boolean;
}

/** What the engine is to answer, and to whom. */
interface Answering {
  readonly incoming: IncomingRequest;
  readonly request: PreprocessedRequest;
  readonly sink: ResponseSink;
  readonly answer: ScriptedAnswer;
  readonly work: Parameters<EngineLoop["run"]>[0];
}

/** The worker's side of each request. */
class Serving {
  readonly #parts: ServingParts;
  requests = 0;

  constructor(parts: ServingParts) {
    this.#parts = parts;
  }

  async handle(incoming: IncomingRequest, sink: ResponseSink): Promise<void> {
    const index = this.requests++;
    const request = decodePreprocessedRequest(decodeBody(incoming.codec, incoming.body));
    const { model, names, script, allChoices } = this.#parts;
    const expanded = await expandPrompt(request, model, names, incoming.signal);
    const answer = script({ index, prompt: expanded.prompt });
    const tokensMax = this.#tokensMax(request, expanded.prompt.length);
    const id = `${incoming.contextId}/${index}`; // a caller may use a context id twice
    const work = { id, ...expanded, tokensMax, answer: (at: number) => answer.tokens[at] };
    const choices = allChoices ? Number(request.sampling_options?.n ?? 1) : 1;
    const answering = { incoming, request, sink, answer, work };
    await Promise.all(Array.from({ length: choices }, (_, choice) => this.#choose(choice, answering)));
  }

  /** One choice of the answer, to its end. */
  async #choose(choice: number, { incoming, request, sink, answer, work }: Answering): Promise<void> {
    let said = 0;
    for await (const step of this.#parts.loop.run({ ...work, id: `${work.id}/${choice}` })) {
      if (incoming.signal.aborted) return;
      const beforeFault = step.tokens.slice(0, tokensBeforeFault(answer) - said);
      said += step.tokens.length;
      if (beforeFault.length === step.tokens.length) {
        await sink.item({ data: { ...outputOf(step, request, said), index: choice } });
      } else {
        if (beforeFault.length > 0) await sink.item({ data: { token_ids: beforeFault, index: choice } });
        await fail(answer.fault!.kind, incoming.signal);
      }
    }
  }

  /** Room in the model's context, or what the request wants. */
  #tokensMax(request: PreprocessedRequest, promptTokens: number): number {
    const room = this.#parts.model.contextLength - promptTokens;
    if (room <= 0) throw new AppError("context_length_exceeded", `The prompt length (${promptTokens}) should be less than max_seq_len`);
    return Math.min(room, request.stop_conditions?.max_tokens ?? room);
  }
}

function outputOf(step: EngineStep, request: PreprocessedRequest, said: number): EngineOutput {
  const output = { token_ids: step.tokens };
  return step.end === undefined ? output : { ...output, finish_reason: step.end, completion_usage: usageOf(step, request, said) };
}

/** Prompt tokens are counted before the expansion, as real workers do. */
function usageOf({ cachedTokens }: EngineStep, request: PreprocessedRequest, said: number): CompletionUsage {
  const prompt = request.token_ids.length;
  return {
    prompt_tokens: prompt,
    completion_tokens: said,
    total_tokens: prompt + said,
    prompt_tokens_details: { cached_tokens: Math.min(prompt, cachedTokens) },
  };
}

const tokensBeforeFault = ({ fault }: ScriptedAnswer): number => fault?.afterTokens ?? Number.POSITIVE_INFINITY;

async function fail(kind: FaultKind, signal: AbortSignal): Promise<void> {
  if (kind === "error") throw new AppError("worker_error", "simulated engine failure");
  if (kind === "cut") throw new StreamAborted("simulated cut");
  if (kind === "exit") process.kill(process.pid, "SIGKILL");
  await new Promise((resolve) => signal.addEventListener("abort", resolve)); // hang: until the caller leaves
}
