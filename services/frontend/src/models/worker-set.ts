// The workers that serve one model at one endpoint with the same card, and which of them gets a request.
//
//   members    instances whose card says so (model-watcher.ts)
//   live       members whose instance record stands as well: a card may outlive its instance, and the reverse
//   available  live ones that did not just fail: a failed one is left alone for a while, unless there is no other
//   free       available ones that are not too busy (busy-workers.ts)
//
// I1  A request goes to an instance at most once, and to another one only while no worker has taken it.
//
// Dynamo's frontends answer 503 for 5 s when every instance just failed. Ours asks them all the same: what broke the stream of
// the only mm-router is as a rule a worker behind it that died, and the router has others.
import type { Booking } from "@mm-router/kv";
import {
  AppError,
  dynAddressOf,
  type EndpointAddress,
  type InstanceId,
  type ModelCard,
  modelTypesOf,
  toAppError,
} from "@mm-router/protocol";
import { type Call, type Clock, type EndpointClient, isNotTaken, type ResponseStream } from "@mm-router/runtime";
import { countedStream } from "./counted-stream.ts";
import { type InstanceChoice, instanceChoice, type InstanceMode } from "./instance-choice.ts";
import { bookedStream, type KvPrompt, type KvRouting } from "./kv-routing.ts";
import { type AffinityOptions, type Session, SessionBindings } from "./session-bindings.ts";
import type { TextModel } from "../text/index.ts";

export type ModelKind = "chat" | "completion" | "embedding" | "other";

export interface WorkerSetOptions {
  readonly name: string;
  readonly address: EndpointAddress;
  readonly card: ModelCard;
  /** `mdc_sum` of the requests. */
  readonly sum: string;
  /** Template and tokenizer; undefined for Text workers. */
  readonly text: TextModel | undefined;
  readonly client: EndpointClient;
  readonly mode: InstanceMode;
  readonly affinity: AffinityOptions;
  /** Set where the workers' KV caches decide about prompts. */
  readonly kv?: KvRouting | undefined;
  /** How long a failed instance is left alone. */
  readonly setAsideMs: number;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Whether an instance has more work than its model's thresholds allow. */
  readonly isBusy: (id: InstanceId) => boolean;
}

/** Who gets a request next. */
interface Picked {
  readonly id: InstanceId;
  readonly dpRank?: number;
  readonly booking?: Booking;
}

/** How a request is sent until somebody takes it. */
interface Attempts {
  readonly signal: AbortSignal;
  readonly callFor: (dpRank: number | undefined) => Call;
  readonly pick: (free: readonly InstanceId[]) => Picked | undefined;
}

/** What a request demands of its worker. */
export interface WorkerDemand {
  readonly instanceId: InstanceId | undefined;
  readonly dpRank: number | undefined;
  readonly session: Session | undefined;
}

/** Any worker will do. */
export const anyWorker: WorkerDemand = { instanceId: undefined, dpRank: undefined, session: undefined };

export class WorkerSet {
  readonly name: string;
  readonly address: EndpointAddress;
  readonly card: ModelCard;
  readonly sum: string;
  readonly text: TextModel | undefined;
  readonly kinds: ReadonlySet<ModelKind>;
  readonly members = new Set<InstanceId>();
  readonly #options: WorkerSetOptions;
  readonly #asideUntil = new Map<InstanceId, number>();
  readonly #running = new Map<InstanceId, number>();
  readonly #choice: InstanceChoice;
  readonly #sessions: SessionBindings;

  constructor(options: WorkerSetOptions) {
    this.#options = options;
    this.#choice = instanceChoice(options.mode, { random: options.random, runningOf: (id) => this.#running.get(id) ?? 0 });
    this.#sessions = new SessionBindings(options.affinity, options.clock);
    this.name = options.name;
    this.address = options.address;
    this.card = options.card;
    this.sum = options.sum;
    this.text = options.text;
    this.kinds = new Set(modelTypesOf(options.card).map(kindOf));
  }

  /** The adapter that its workers are to use; undefined: the model as it is. */
  get loraName(): string | undefined {
    return loraNameOf(this.card);
  }

  /** Tokens that the model takes; 0 = unknown. */
  get contextLength(): number {
    return this.card.context_length || this.card.architectural_max_context_length || 0;
  }

  available(): InstanceId[] {
    const now = this.#options.clock.now();
    const live = this.#live();
    const sound = live.filter((id) => (this.#asideUntil.get(id) ?? 0) <= now);
    return sound.length > 0 ? sound : live;
  }

  /** Those that may get another request. */
  free(): InstanceId[] {
    return this.available().filter((id) => !this.#options.isBusy(id));
  }

  /**
   * Sends a request to a worker, to another one when it is not taken.
   *
   * @throws AppError `invalid_request` when the demanded worker is not there, `no_instances` when there is none at all,
   *   `overloaded` when all are too busy
   */
  async dispatch(call: Call, demand: WorkerDemand): Promise<ResponseStream> {
    this.#checkRank(demand.dpRank);
    if (demand.instanceId !== undefined) return this.#direct(this.#demanded(demand.instanceId), call);
    return this.#firstTaker(demand, { signal: call.signal, callFor: () => call, pick: (free) => pickOf(this.#choice.choose(free)) });
  }

  /**
   * As `dispatch`, for a prompt: with KV routing to the worker that holds most of it.
   *
   * `callFor` makes the call for a data-parallel rank; undefined: any.
   */
  async dispatchPrompt(
    prompt: KvPrompt,
    { signal, callFor }: Pick<Attempts, "signal" | "callFor">,
    demand: WorkerDemand,
  ): Promise<ResponseStream> {
    const { kv, client } = this.#options;
    const [worker] = client.instances.list().filter(({ instanceId }) => this.members.has(instanceId));
    if (kv === undefined || worker === undefined || demand.instanceId !== undefined) return this.dispatch(callFor(demand.dpRank), demand);
    this.#checkRank(demand.dpRank);
    const plan = await kv.plan(prompt, worker, signal);
    const pick = (free: readonly InstanceId[]) => {
      if (free.length === 0) return undefined;
      const booking = kv.book(plan, free, demand.dpRank);
      return { id: booking.worker.workerId, dpRank: booking.worker.dpRank, booking };
    };
    return this.#firstTaker(demand, { signal, callFor, pick });
  }

  /**
   * Takes note of how a call ended: after a failure of the connection the instance is left alone for a while.
   * What a living worker says (`Unavailable`, overloaded, a bad request) is none.
   */
  noteFailure(id: InstanceId, error: AppError): void {
    const lost = error.code === "worker_lost" && error.details["error_type"] !== "Unavailable";
    if (lost || error.code === "deadline_exceeded") this.#asideUntil.set(id, this.#options.clock.now() + this.#options.setAsideMs);
  }

  forget(id: InstanceId): void {
    this.members.delete(id);
    this.#asideUntil.delete(id);
    this.#running.delete(id);
  }

  close(): void {
    this.#options.kv?.close();
    this.#options.client.close();
  }

  #live(): InstanceId[] {
    const { instances } = this.#options.client;
    return instances
      .list()
      .map((instance) => instance.instanceId)
      .filter((id) => this.members.has(id));
  }

  async #direct(id: InstanceId, call: Call): Promise<ResponseStream> {
    try {
      const stream = await this.#options.client.direct(id, call);
      return this.#choice.countsRunning ? this.#counted(stream, call.signal) : stream;
    } catch (error) {
      const failure = toAppError(error);
      this.noteFailure(id, failure);
      throw failure.code === "body_too_large" ? tooLargeForPlane(failure) : failure;
    }
  }

  /** Sends to whoever is picked, and to the next one as long as the request is not taken. */
  async #firstTaker({ session }: WorkerDemand, { signal, callFor, pick }: Attempts): Promise<ResponseStream> {
    const tried = new Set<InstanceId>();
    let failure: AppError | undefined;
    for (;;) {
      const picked = pick(this.#candidates(session, tried));
      if (picked === undefined) throw failure ?? (this.available().length > 0 ? allBusy() : notReady(this.name));
      const { id, dpRank, booking } = picked;
      tried.add(id);
      try {
        const stream = await this.#direct(id, callFor(dpRank));
        this.#sessions.note(session, id);
        return booking === undefined ? stream : bookedStream(stream, booking, signal);
      } catch (error) {
        booking?.free();
        if (!isNotTaken(error) || signal.aborted) throw error;
        failure = error;
      }
    }
  }

  /** Free instances that were not tried; of a session that is bound the one it is bound to. */
  #candidates(session: Session | undefined, tried: ReadonlySet<InstanceId>): InstanceId[] {
    const free = this.free().filter((id) => !tried.has(id));
    const bound = this.#sessions.of(session);
    const isHeld = bound !== undefined && !tried.has(bound) && this.available().includes(bound);
    return isHeld && (this.#sessions.isHard || free.includes(bound)) ? free.filter((id) => id === bound) : free;
  }

  /** Counts the stream as running until it is over. */
  #counted(stream: ResponseStream, signal: AbortSignal): ResponseStream {
    const { instanceId } = stream;
    const add = (count: number) => this.#running.set(instanceId, (this.#running.get(instanceId) ?? 0) + count);
    add(1);
    return countedStream(stream, signal, () => add(-1));
  }

  #demanded(id: InstanceId): InstanceId {
    if (this.#live().includes(id)) return id;
    throw new AppError("invalid_request", `worker instance ${id} does not serve model \`${this.name}\` at ${dynAddressOf(this.address)}`);
  }

  #checkRank(rank: number | undefined): void {
    if (rank === undefined) return;
    const start = this.card.runtime_config?.data_parallel_start_rank ?? 0;
    const size = this.card.runtime_config?.data_parallel_size ?? 1;
    if (rank >= start && rank < start + size) return;
    throw new AppError("invalid_request", `the workers of model \`${this.name}\` have no data-parallel rank ${rank}`);
  }
}

/** A model whose workers are not there (yet, or for the moment). */
export function notReady(name: string): AppError {
  const message = `Model \`${name}\` is not ready to serve requests yet. The deployment may still be starting up or is not fully provisioned. Please retry shortly.`;
  return new AppError("no_instances", message, { details: { public: message } });
}

/** Every worker of a model has as much to do as its thresholds allow. */
function allBusy(): AppError {
  return new AppError("overloaded", "Service temporarily overloaded");
}

function pickOf(id: InstanceId | undefined): Picked | undefined {
  return id === undefined ? undefined : { id };
}

/** A picture, as a rule. The HTTP body was within its own limit, so the status is that of a wrong request (Dynamo ≤ 1.5 too). */
function tooLargeForPlane(cause: AppError): AppError {
  return new AppError("invalid_request", `Request payload is too large for this deployment: ${cause.message}`, { cause });
}

/** An adapter has a card of its own beside that of its model, with the name that the engine knows it by. */
export function loraNameOf(card: ModelCard): string | undefined {
  const { lora } = card as { readonly lora?: { readonly name?: unknown } | null };
  return typeof lora?.name === "string" ? lora.name : undefined;
}

const kinds: Readonly<Record<string, ModelKind>> = { Chat: "chat", Completions: "completion", Embedding: "embedding" };

export function kindOf(modelType: string): ModelKind {
  return kinds[modelType] ?? "other";
}
