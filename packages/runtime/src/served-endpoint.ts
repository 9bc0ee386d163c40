// The worker's side of an endpoint: requests taken under the process's id, and the record that says so.
//
//   serve        listen under the id ▶ put the instance key
//   lease lost   listen under the new id ▶ (discovery puts the key again) ▶ stop listening under the old one
//   withdraw     take the key away; requests that still come are served
//   drain        stop listening ▶ wait for the running requests ▶ end the rest
//
// I1  the key never names an id under which nobody listens.
// I2  a stream that began under a lost id runs to its end.
import { encodeInstance, type EndpointAddress, type InstanceId, instanceKey } from "@mm-router/protocol";
import type { Discovery, Registration } from "./discovery/index.ts";
import type { ServedEndpoint, ServeOptions } from "./endpoint.ts";
import type { Listening } from "./request-plane/request-transport.ts";
import type { Logger } from "./service/index.ts";

export interface RegisteredEndpointDeps {
  readonly discovery: Discovery;
  /** Takes requests under this id from the moment it resolves. */
  readonly listen: (instanceId: InstanceId) => Promise<Listening>;
  /** Waits for what was taken; after `deadlineMs` ends it. */
  readonly drainTaken: (deadlineMs: number) => Promise<void>;
  readonly log: Logger;
}

export class RegisteredEndpoint implements ServedEndpoint {
  readonly address: EndpointAddress;
  readonly #deps: RegisteredEndpointDeps;
  readonly #options: ServeOptions;
  readonly #listening = new Map<InstanceId, Listening>();
  #forgetListener: () => void = () => {};
  #registration: Registration | undefined;
  #draining = false;

  static async serve(address: EndpointAddress, options: ServeOptions, deps: RegisteredEndpointDeps): Promise<RegisteredEndpoint> {
    const served = new RegisteredEndpoint(address, options, deps);
    served.#forgetListener = deps.discovery.onInstanceIdChanged((id) => served.#move(id));
    try {
      await served.#listen(deps.discovery.instanceId);
      await served.#stopAllBut(deps.discovery.instanceId); // the lease may have been lost meanwhile
      served.#registration = await deps.discovery.register((id) => served.#entry(id));
      return served;
    } catch (error) {
      await served.drain(0);
      throw error;
    }
  }

  private constructor(address: EndpointAddress, options: ServeOptions, deps: RegisteredEndpointDeps) {
    this.address = address;
    this.#options = options;
    this.#deps = deps;
  }

  get instanceId(): InstanceId {
    return this.#deps.discovery.instanceId;
  }

  async withdraw(): Promise<void> {
    await this.#registration?.withdraw();
    this.#registration = undefined;
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    this.#forgetListener();
    await this.withdraw();
    await this.#stopAllBut(undefined);
    await this.#deps.drainTaken(deadlineMs);
  }

  async #move(instanceId: InstanceId): Promise<void> {
    if (this.#draining) return;
    await this.#listen(instanceId);
    await this.#stopAllBut(instanceId);
    this.#deps.log.info("endpoint moved to a new instance id", { ...this.address, instance_id: instanceId });
  }

  async #listen(instanceId: InstanceId): Promise<void> {
    if (this.#listening.has(instanceId)) return;
    this.#listening.set(instanceId, await this.#deps.listen(instanceId));
  }

  async #stopAllBut(kept: InstanceId | undefined): Promise<void> {
    for (const [instanceId, listening] of this.#listening) {
      if (instanceId === kept) continue;
      this.#listening.delete(instanceId);
      await listening.stop();
    }
  }

  #entry(instanceId: InstanceId): { key: string; value: string } {
    const { address } = this;
    const listening = this.#listening.get(instanceId);
    if (!listening) throw new Error(`nobody listens under ${instanceId}`); // I1: discovery awaits #move first
    const codec = this.#options.advertisedCodec;
    const value = encodeInstance({ address, instanceId, transport: listening.transport, ...(codec && { codec }) });
    return { key: instanceKey(address, instanceId), value };
  }
}
