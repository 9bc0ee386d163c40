// The live instances of one endpoint, fed with what discovery says about its keys.
//
//   put, delete ─▶ records by id ─▶ list() sorted by id
//   setAside    ─▶ not in available() for a while
//
// I1  records change by put and delete alone: while discovery is away the last known instances stay.
// I2  only keys of exactly this endpoint count: `…/generate/` is no prefix of `…/generate2/`.
// I3  setAside hides, it never removes; when every instance is set aside, all are available: trying beats refusing.
import { decodeInstance, type EndpointAddress, type Instance, type InstanceId, parseInstanceKey, sameAddress } from "@mm-router/protocol";
import type { Clock } from "./flow/index.ts";
import type { InstanceSet } from "./endpoint.ts";

export interface LiveInstancesOptions {
  readonly address: EndpointAddress;
  readonly clock: Clock;
  /** How long setAside lasts when the call does not say. */
  readonly setAsideMs: number;
}

export class LiveInstances implements InstanceSet {
  readonly #options: LiveInstancesOptions;
  readonly #byId = new Map<InstanceId, Instance>();
  readonly #asideUntil = new Map<InstanceId, number>();
  readonly #listeners = new Set<() => void>();
  #sorted: readonly Instance[] = [];

  constructor(options: LiveInstancesOptions) {
    this.#options = options;
  }

  list(): readonly Instance[] {
    return this.#sorted;
  }

  get(instanceId: InstanceId): Instance | undefined {
    return this.#byId.get(instanceId);
  }

  available(): readonly Instance[] {
    if (this.#asideUntil.size === 0) return this.#sorted;
    this.#endSetAsides();
    const available = this.#sorted.filter((instance) => !this.#asideUntil.has(instance.instanceId));
    return available.length > 0 ? available : this.#sorted;
  }

  setAside(instanceId: InstanceId, durationMs: number = this.#options.setAsideMs): void {
    if (this.#byId.has(instanceId)) this.#asideUntil.set(instanceId, this.#options.clock.now() + durationMs);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A record was written.
   *
   * @throws AppError `protocol_error` when it cannot be read; a record of the same id that could be read stays
   */
  put(key: string, value: string): void {
    if (!this.#isOurs(key)) return;
    const instance = decodeInstance(key, value);
    this.#byId.set(instance.instanceId, instance);
    this.#changed();
  }

  /** A record is gone. */
  delete(key: string): void {
    const named = parseInstanceKey(key);
    if (!named || !this.#isOurs(key) || !this.#byId.delete(named.instanceId)) return;
    this.#asideUntil.delete(named.instanceId);
    this.#changed();
  }

  #isOurs(key: string): boolean {
    const named = parseInstanceKey(key);
    return named !== undefined && sameAddress(named.address, this.#options.address);
  }

  #changed(): void {
    this.#sorted = [...this.#byId.values()].sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
    for (const listener of this.#listeners) listener();
  }

  #endSetAsides(): void {
    const now = this.#options.clock.now();
    for (const [id, until] of this.#asideUntil) if (until <= now) this.#asideUntil.delete(id);
  }
}
