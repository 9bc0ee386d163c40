// The workers that serve one model at one endpoint with the same card, and which of them gets a request.
//
//   members    instances whose card says so (model-watcher.ts)
//   available  those that stand and did not just fail (endpoint-workers.ts)
//   free       available ones that are not too busy (busy-workers.ts)
//
// I1  A request goes to an instance at most once, and to another one only while no worker has taken it.
//
// Dynamo's frontends answer 503 for 5 s when every instance just failed, and a session's requests fail as long as its dead worker
// is in discovery. Ours asks the failed ones all the same, for what broke the stream of the only mm-router is as a rule a worker
// behind it that died, and the router has others; and a session moves with the first request that its worker does not take.
import type { Booking } from "@mm-router/kv";
import { AppError, dynAddressOf, type EndpointAddress, type InstanceId, type ModelCard, modelTypesOf } from "@mm-router/protocol";
import { type Call, isNotTaken, type ResponseStream } from "@mm-router/runtime";
import type { EndpointWorkers } from "./endpoint-workers.ts";
import { bookedStream, type KvPrompt, type KvRouting } from "./kv-routing.ts";
import type { BoundTo, Session } from "./session-bindings.ts";
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
  readonly endpoint: EndpointWorkers;
  /** Set where the workers' KV caches decide about prompts. */
  readonly kv?: KvRouting | undefined;
  /** Whether an instance has more work than its model's thresholds allow. */
  readonly isBusy: (id: InstanceId) => boolean;
}

/** Who may get a request next. */
interface Candidates {
  readonly ids: readonly InstanceId[];
  /** The request, or its session, leaves no choice. */
  readonly isFixed: boolean;
  readonly dpRank: number | undefined;
}

interface Picked extends BoundTo {
  readonly booking?: Booking;
}

/** How a request is sent until somebody takes it. */
interface Attempts {
  readonly signal: AbortSignal;
  readonly callFor: (dpRank: number | undefined) => Call;
  readonly pick: (candidates: Candidates) => Picked | undefined;
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
  readonly #endpoint: EndpointWorkers;

  constructor(options: WorkerSetOptions) {
    this.#options = options;
    this.#endpoint = options.endpoint;
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
    return this.#endpoint.available(this.members);
  }

  /** Those that may get another request. */
  free(): InstanceId[] {
    return this.available().filter((id) => !this.#options.isBusy(id));
  }

  /**
   * Sends a request to a worker, to another one when it is not taken.
   *
   * @throws AppError `invalid_request` when the demanded worker is not there, or not the session's, `no_instances` when there is
   *   none at all, `overloaded` when all are too busy
   */
  dispatch(call: Call, demand: WorkerDemand): Promise<ResponseStream> {
    return this.#dispatch({ signal: call.signal, callFor: () => call }, demand);
  }

  /**
   * As `dispatch`, for a prompt: with KV routing to the worker that holds most of it.
   *
   * `callFor` makes the call for a data-parallel rank; undefined: any.
   */
  async dispatchPrompt(prompt: KvPrompt, calls: Pick<Attempts, "signal" | "callFor">, demand: WorkerDemand): Promise<ResponseStream> {
    const { kv } = this.#options;
    const worker = this.#endpoint.client.instances.list().find(({ instanceId }) => this.members.has(instanceId));
    if (kv === undefined || worker === undefined) return this.#dispatch(calls, demand);
    this.#checkRank(demand);
    const plan = await kv.plan(prompt, worker, calls.signal);
    const pick = ({ ids, dpRank: wanted }: Candidates) => {
      if (ids.length === 0) return undefined;
      const booking = kv.book(plan, ids, wanted);
      return { instanceId: booking.worker.workerId, dpRank: booking.worker.dpRank, booking };
    };
    return this.#firstTaker(demand, { ...calls, pick });
  }

  /** Lets the workers' endpoint learn from how a call ended. */
  noteFailure(id: InstanceId, error: AppError): void {
    this.#endpoint.noteFailure(id, error);
  }

  close(): void {
    this.#options.kv?.close();
  }

  /** In turn, or as the mode says. */
  async #dispatch(calls: Pick<Attempts, "signal" | "callFor">, demand: WorkerDemand): Promise<ResponseStream> {
    this.#checkRank(demand);
    if (demand.dpRank !== undefined && demand.instanceId === undefined) throw rankWithoutWorker();
    const pick = ({ ids, isFixed, dpRank }: Candidates) => {
      const instanceId = isFixed ? ids[0] : this.#endpoint.choose(ids);
      return instanceId === undefined ? undefined : { instanceId, dpRank };
    };
    return this.#firstTaker(demand, { ...calls, pick });
  }

  /** Sends to whoever is picked, and to the next one as long as the request is not taken. */
  async #firstTaker(demand: WorkerDemand, { signal, callFor, pick }: Attempts): Promise<ResponseStream> {
    const { sessions } = this.#endpoint;
    const session = sessions.nameOf(demand.session);
    if (session !== undefined && demand.dpRank !== undefined && demand.instanceId === undefined) throw rankWithoutWorker();
    const tried = new Set<InstanceId>();
    let failure: AppError | undefined;
    for (;;) {
      const picked = pick(this.#candidates(demand, session, tried));
      if (picked === undefined) throw failure ?? (this.available().length > 0 ? allBusy() : notReady(this.name));
      const { instanceId, dpRank, booking } = picked;
      tried.add(instanceId);
      if (session !== undefined) sessions.bind(session, { instanceId, dpRank });
      try {
        const stream = await this.#endpoint.send(instanceId, callFor(dpRank));
        const held = session === undefined ? stream : sessions.held(session, stream, signal);
        return booking === undefined ? held : bookedStream(held, booking, signal);
      } catch (error) {
        booking?.free();
        if (error instanceof AppError && error.code === "body_too_large") throw tooLargeForPlane(error);
        if (!isNotTaken(error) || signal.aborted) throw error;
        failure = error;
      }
    }
  }

  /** The one that is demanded, or of a session that is bound the one it is bound to; else free instances that were not tried. */
  #candidates({ instanceId: wanted, dpRank }: WorkerDemand, session: string | undefined, tried: ReadonlySet<InstanceId>): Candidates {
    const bound = session === undefined ? undefined : this.#bound(session, tried);
    if (wanted !== undefined) {
      const ids = tried.has(wanted) ? [] : [this.#demanded(wanted)];
      if (bound !== undefined) checkDemanded(bound, wanted, dpRank);
      return { ids, isFixed: true, dpRank: dpRank ?? bound?.dpRank };
    }
    const free = this.free().filter((id) => !tried.has(id));
    if (bound === undefined || !(this.#endpoint.sessions.isHard || free.includes(bound.instanceId))) {
      return { ids: free, isFixed: false, dpRank };
    }
    return { ids: free.filter((id) => id === bound.instanceId), isFixed: true, dpRank: bound.dpRank };
  }

  /** Who serves the session, unless that one is away or did not take the request. */
  #bound(session: string, tried: ReadonlySet<InstanceId>): BoundTo | undefined {
    const bound = this.#endpoint.sessions.of(session);
    return bound !== undefined && !tried.has(bound.instanceId) && this.available().includes(bound.instanceId) ? bound : undefined;
  }

  #demanded(id: InstanceId): InstanceId {
    if (this.#endpoint.live(this.members).includes(id)) return id;
    throw new AppError("invalid_request", `worker instance ${id} does not serve model \`${this.name}\` at ${dynAddressOf(this.address)}`);
  }

  #checkRank({ dpRank: rank }: WorkerDemand): void {
    if (rank === undefined) return;
    const start = this.card.runtime_config?.data_parallel_start_rank ?? 0;
    const size = this.card.runtime_config?.data_parallel_size ?? 1;
    if (rank >= start && rank < start + size) return;
    throw new AppError("invalid_request", `the workers of model \`${this.name}\` have no data-parallel rank ${rank}`);
  }
}

/** @throws AppError `invalid_request` when a session's request demands another worker, or rank, than the session has */
function checkDemanded(bound: BoundTo, wanted: InstanceId, dpRank: number | undefined): void {
  if (bound.instanceId === wanted && (dpRank ?? bound.dpRank) === bound.dpRank) return;
  const rank = bound.dpRank === undefined ? "" : `, rank ${bound.dpRank}`;
  throw new AppError("invalid_request", `the session stays at worker instance ${bound.instanceId}${rank}; the request demands another`);
}

/** Dynamo 1.6.1 refuses it, too: ranks are chosen with their workers. */
function rankWithoutWorker(): AppError {
  const how = "header x-dynamo-worker-instance-id or nvext.backend_instance_id";
  return new AppError("invalid_request", `a data-parallel rank needs its worker: the request must name it by ${how}`);
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
