// Chooses an instance for a call, and the next one when the first does not take it.
//
//   candidates, best first ─▶ call ─ taken ─▶ stream
//                              │ not taken (no responders, refused, no prologue): set aside, next candidate
//                              │ anything else, or nobody left: the error
//
// I1  each instance is tried at most once per request.
// I2  after the prologue a request never goes elsewhere: it may be what killed its worker. The instance that lost the stream
//     is set aside all the same.
import { AppError, type EndpointAddress, type ErrorCode, hexOf, type Instance, type InstanceId } from "@mm-router/protocol";
import type { InstanceSet } from "./endpoint.ts";
import { type Call, isNotTaken, notTaken, type ResponseStream } from "./request-plane/call.ts";
import type { StreamState } from "./request-plane/stream-state.ts";

/** Calls one instance; request-client.ts. */
export interface InstanceCaller {
  call(instance: Instance, call: Call, onOver: (state: StreamState) => void): Promise<ResponseStream>;
  ask(instance: Instance, question: Buffer): Promise<Buffer>;
}

export interface PushRouterOptions {
  readonly address: EndpointAddress;
  readonly instances: InstanceSet;
  readonly caller: InstanceCaller;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** An overloaded instance is alive, and a body that is too large is nobody's fault. */
const connectionFailures: ReadonlySet<ErrorCode> = new Set(["worker_lost", "deadline_exceeded"]);

export class PushRouter {
  readonly #options: PushRouterOptions;
  #lastChosen: InstanceId | undefined;

  constructor(options: PushRouterOptions) {
    this.#options = options;
  }

  /** Calls one instance, also one that is set aside. */
  async direct(instanceId: InstanceId, call: Call): Promise<ResponseStream> {
    const instance = this.#options.instances.get(instanceId);
    if (!instance) throw this.#notFound(instanceId);
    return this.#call(instance, call);
  }

  /** Asks the next instance that answers in its acknowledgement. */
  async ask(question: Buffer): Promise<Buffer> {
    return this.#firstThatTakes(this.#inTurn(), (instance) => this.#ask(instance, question));
  }

  /** Calls the instance whose id follows the last one's; ids in ascending order, then from the start. */
  async roundRobin(call: Call): Promise<ResponseStream> {
    return this.#firstThatTakes(this.#inTurn(), (instance) => this.#call(instance, call));
  }

  /** Calls a random instance. */
  async random(call: Call): Promise<ResponseStream> {
    const { random = Math.random } = this.#options;
    const instances = this.#options.instances.available();
    const candidates = startingAt(instances, Math.floor(random() * instances.length));
    return this.#firstThatTakes(candidates, (instance) => this.#call(instance, call));
  }

  #inTurn(): readonly Instance[] {
    const instances = this.#options.instances.available();
    const last = this.#lastChosen;
    const next = last === undefined ? 0 : instances.findIndex((instance) => instance.instanceId > last);
    return startingAt(instances, Math.max(next, 0));
  }

  async #firstThatTakes<T>(candidates: readonly Instance[], give: (instance: Instance) => Promise<T>): Promise<T> {
    let refusal: AppError | undefined;
    for (const instance of candidates) {
      this.#lastChosen = instance.instanceId;
      try {
        return await give(instance);
      } catch (error) {
        if (!isNotTaken(error)) throw error;
        refusal = error;
      }
    }
    throw refusal ?? new AppError("no_instances", `no instance serves ${this.#name()}`);
  }

  async #ask(instance: Instance, question: Buffer): Promise<Buffer> {
    const { caller, instances } = this.#options;
    try {
      return await caller.ask(instance, question);
    } catch (error) {
      if (isNotTaken(error) && connectionFailures.has(error.code)) instances.setAside(instance.instanceId);
      throw error;
    }
  }

  #call(instance: Instance, call: Call): Promise<ResponseStream> {
    const { caller, instances } = this.#options;
    return caller.call(instance, call, (state) => {
      const failed = state.kind === "lost" || (state.kind === "refused" && isNotTaken(state.error));
      if (failed && connectionFailures.has(state.error.code)) instances.setAside(instance.instanceId);
    });
  }

  #notFound(instanceId: InstanceId): AppError {
    return notTaken("no_instances", `instance ${hexOf(instanceId)} is not found for endpoint ${this.#name()}`, { instanceId });
  }

  #name(): string {
    const { namespace, component, endpoint } = this.#options.address;
    return `${namespace}/${component}/${endpoint}`;
  }
}

/** All instances, in their order from `index` on and around. */
function startingAt(instances: readonly Instance[], index: number): readonly Instance[] {
  if (index === 0) return instances;
  return [...instances.slice(index), ...instances.slice(0, index)];
}
