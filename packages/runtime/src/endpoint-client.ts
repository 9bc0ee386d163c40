// The caller's side of an endpoint: follows its instances, calls them.
import { AppError, type EndpointAddress, type InstanceId, instancePrefix } from "@mm-router/protocol";
import type { Discovery, Watch } from "./discovery/index.ts";
import type { EndpointClient, InstanceSet } from "./endpoint.ts";
import { systemClock } from "./flow/index.ts";
import { LiveInstances } from "./instance-set.ts";
import { type InstanceCaller, PushRouter } from "./push-router.ts";
import type { Call, ResponseStream } from "./request-plane/call.ts";
import type { Logger } from "./service/index.ts";

export interface EndpointClientDeps {
  readonly discovery: Discovery;
  readonly caller: InstanceCaller;
  readonly setAsideMs: number;
  readonly log: Logger;
}

export class WatchedEndpointClient implements EndpointClient {
  readonly address: EndpointAddress;
  readonly #instances: LiveInstances;
  readonly #router: PushRouter;
  readonly #watch: Watch;

  constructor(address: EndpointAddress, deps: EndpointClientDeps) {
    this.address = address;
    this.#instances = new LiveInstances({ address, clock: systemClock, setAsideMs: deps.setAsideMs });
    this.#router = new PushRouter({ address, instances: this.#instances, caller: deps.caller });
    this.#watch = deps.discovery.watch(instancePrefix(address), {
      put: (key, value) => this.#put(key, value, deps.log),
      delete: (key) => this.#instances.delete(key),
    });
    this.#watch.ready.catch(() => {}); // ready() tells whoever asks; a client that is closed at once has nobody to tell
  }

  get instances(): InstanceSet {
    return this.#instances;
  }

  ready(): Promise<void> {
    return this.#watch.ready;
  }

  direct(instanceId: InstanceId, call: Call): Promise<ResponseStream> {
    return this.#router.direct(instanceId, call);
  }

  roundRobin(call: Call): Promise<ResponseStream> {
    return this.#router.roundRobin(call);
  }

  ask(question: Buffer): Promise<Buffer> {
    return this.#router.ask(question);
  }

  random(call: Call): Promise<ResponseStream> {
    return this.#router.random(call);
  }

  close(): void {
    this.#watch.close();
  }

  /** A record that cannot be read (another plane, a broken writer) hides its instance, nothing else. */
  #put(key: string, value: string, log: Logger): void {
    try {
      this.#instances.put(key, value);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      log.warn("instance record is not usable", { key, reason: error.message });
    }
  }
}
