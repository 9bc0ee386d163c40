// The instances of one endpoint, for all models that are served there: a model and its LoRA adapters have the same workers.
//
//   live       members of a model whose instance record stands as well: a card may outlive its instance, and the reverse
//   available  live ones that did not just fail: a failed one is left alone for a while, unless there is no other
//
// Whose turn it is, what runs where, who just failed and where sessions stay is known of the workers, not of a model.
// Source: Dynamo 1.6.1, seen: a request for an adapter takes the turn of one for its model, and their sessions are the same.
import type { AppError, InstanceId } from "@mm-router/protocol";
import { toAppError } from "@mm-router/protocol";
import type { Call, Clock, EndpointClient, ResponseStream } from "@mm-router/runtime";
import { countedStream } from "./counted-stream.ts";
import { type InstanceChoice, instanceChoice, type InstanceMode } from "./instance-choice.ts";
import { type AffinityOptions, SessionBindings } from "./session-bindings.ts";

export interface EndpointWorkersOptions {
  readonly client: EndpointClient;
  readonly mode: InstanceMode;
  readonly affinity: AffinityOptions;
  /** How long a failed instance is left alone. */
  readonly setAsideMs: number;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
}

export class EndpointWorkers {
  readonly client: EndpointClient;
  readonly sessions: SessionBindings;
  readonly #options: EndpointWorkersOptions;
  readonly #choice: InstanceChoice;
  readonly #asideUntil = new Map<InstanceId, number>();
  readonly #running = new Map<InstanceId, number>();

  constructor(options: EndpointWorkersOptions) {
    const { client, mode, affinity, clock, random } = options;
    this.client = client;
    this.#options = options;
    this.sessions = new SessionBindings(affinity, clock);
    this.#choice = instanceChoice(mode, { random, runningOf: (id) => this.#running.get(id) ?? 0 });
  }

  live(members: ReadonlySet<InstanceId>): InstanceId[] {
    const ids = this.client.instances.list().map(({ instanceId }) => instanceId);
    return ids.filter((id) => members.has(id));
  }

  available(members: ReadonlySet<InstanceId>): InstanceId[] {
    const live = this.live(members);
    const now = this.#options.clock.now();
    const sound = live.filter((id) => (this.#asideUntil.get(id) ?? 0) <= now);
    return sound.length > 0 ? sound : live;
  }

  /** Whose turn it is. @returns undefined when there is no candidate @throws AppError `invalid_request` when the request must choose */
  choose(candidates: readonly InstanceId[]): InstanceId | undefined {
    return this.#choice.choose(candidates);
  }

  /** @throws AppError as the call fails, which is noted */
  async send(id: InstanceId, call: Call): Promise<ResponseStream> {
    try {
      const stream = await this.client.direct(id, call);
      return this.#choice.countsRunning ? this.#counted(stream, call.signal) : stream;
    } catch (error) {
      const failure = toAppError(error);
      this.noteFailure(id, failure);
      throw failure;
    }
  }

  /**
   * Takes note of how a call ended: after a failure of the connection the instance is left alone for a while.
   * What a living worker says (`Unavailable`, overloaded, a bad request) is none.
   */
  noteFailure(id: InstanceId, error: AppError): void {
    const lost = error.code === "worker_lost" && error.details["error_type"] !== "Unavailable";
    if (!lost && error.code !== "deadline_exceeded") return;
    const now = this.#options.clock.now();
    for (const [other, until] of this.#asideUntil) if (until <= now) this.#asideUntil.delete(other);
    this.#asideUntil.set(id, now + this.#options.setAsideMs);
  }

  close(): void {
    this.client.close();
  }

  /** Counts the stream as running until it is over. */
  #counted(stream: ResponseStream, signal: AbortSignal): ResponseStream {
    const { instanceId } = stream;
    const add = (change: number) => {
      const count = (this.#running.get(instanceId) ?? 0) + change;
      if (count > 0) this.#running.set(instanceId, count);
      else this.#running.delete(instanceId);
    };
    add(1);
    return countedStream(stream, signal, () => add(-1));
  }
}
