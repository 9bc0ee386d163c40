// The keys that this process wants in etcd, and the one loop that makes etcd agree.
//
//   add, withdraw, new lease ──▶ wake ──▶ any difference? ── no ──▶ sleep
//                                             │ yes     ▲
//                                             ▼         │ etcd away: jittered wait
//                             write it under the lease, or delete it
//
// Writing as upstream's (Dynamo 0.9.1 … 1.6.1, seen on etcd's side): if version(key) = 0 then put with lease; an existing key is fine.
//
// I1  One call at a time, so a delete never overtakes the put of the same key.
// I2  A key that was ever sent is deleted when it is withdrawn, even if the answer to its put never came.
// I3  Without a lease (`moveTo` pending) nothing is written.
import { AppError, type InstanceId, toAppError } from "@mm-router/protocol";
import { Backoff } from "../flow/backoff.ts";
import type { Logger } from "../service/log.ts";
import { closedError, type RegistrationEntry } from "./discovery.ts";
import type { EtcdClient } from "./etcd-client.ts";

export interface EtcdRegistrationsDeps {
  readonly client: EtcdClient;
  readonly log: Logger;
  /** Called when etcd says that the lease does not exist. */
  onLeaseGone(): void;
}

/** One wanted key; what it is called depends on the lease. */
interface Wanted {
  readonly entry: RegistrationEntry;
  readonly written: PromiseWithResolvers<void>;
  readonly deleted: PromiseWithResolvers<void>;
  state: "wanted" | "written" | "withdrawn";
  /** The key of the last put that was sent under the present lease. */
  sentKey?: string | undefined;
}

export class EtcdRegistrations {
  readonly #deps: EtcdRegistrationsDeps;
  readonly #all = new Set<Wanted>();
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff({ firstMs: 100, maxMs: 2000 });
  #lease: InstanceId | undefined;
  #running = false;
  /** In a row; the first is logged. */
  #failures = 0;

  constructor(lease: InstanceId, deps: EtcdRegistrationsDeps) {
    this.#lease = lease;
    this.#deps = deps;
  }

  /** @returns `written`: settles with the first write; `withdraw`: resolves when the key is deleted */
  add(entry: RegistrationEntry): { readonly written: Promise<void>; readonly withdraw: () => Promise<void> } {
    const own: Wanted = { entry, written: Promise.withResolvers(), deleted: Promise.withResolvers(), state: "wanted" };
    own.written.promise.catch(() => {}); // the caller may have given up waiting
    this.#all.add(own);
    if (this.#closing.signal.aborted) own.written.reject(closedError());
    this.#wake();
    const withdraw = (): Promise<void> => {
      own.state = "withdrawn";
      this.#wake();
      return own.deleted.promise;
    };
    return { written: own.written.promise, withdraw };
  }

  /** The lease is gone and its keys with it. Nothing is written until `moveTo`. */
  leaseLost(): void {
    this.#lease = undefined;
    for (const own of this.#all) {
      own.sentKey = undefined;
      if (own.state === "written") own.state = "wanted";
    }
  }

  moveTo(lease: InstanceId): void {
    this.#lease = lease;
    this.#wake();
  }

  /** Stops writing and deleting: the keys end with the lease. */
  close(): void {
    this.#closing.abort();
    for (const own of this.#all) {
      own.written.reject(closedError());
      own.deleted.resolve();
    }
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#settleAll();
  }

  /** Never rejects. */
  async #settleAll(): Promise<void> {
    const { signal } = this.#closing;
    for (let own = this.#unsettled(); own !== undefined && !signal.aborted; own = this.#unsettled()) {
      try {
        await (own.state === "withdrawn" ? this.#delete(own) : this.#write(own));
        this.#failures = 0;
        this.#backoff.reset();
      } catch (error) {
        if (toAppError(error).code === "dependency_unreachable") await this.#waitAfter(error);
        else this.#giveUp(own, error);
      }
    }
    this.#running = false;
  }

  async #waitAfter(error: unknown): Promise<void> {
    if (this.#failures++ === 0) this.#deps.log.warn("etcd keys not settled, trying on", { keys: this.#all.size, error });
    await this.#backoff.wait(this.#closing.signal);
  }

  /** etcd will not have it, or the entry threw: another attempt would end alike. */
  #giveUp(own: Wanted, error: unknown): void {
    this.#deps.log.error("key given up", { key: own.sentKey, state: own.state, error });
    this.#all.delete(own);
    own.written.reject(error);
    own.deleted.resolve();
  }

  #unsettled(): Wanted | undefined {
    for (const own of this.#all) {
      if (own.state === "withdrawn" || (own.state === "wanted" && this.#lease !== undefined)) return own;
    }
    return undefined;
  }

  async #write(own: Wanted): Promise<void> {
    const lease = this.#lease as InstanceId; // `#unsettled` gives none to write without a lease
    const { key, value } = own.entry(lease);
    own.sentKey = key;
    const outcome = await this.#deps.client.putIfAbsent(key, value, lease);
    if (outcome === "lease-gone") {
      this.#deps.onLeaseGone();
      throw new AppError("dependency_unreachable", "the lease is gone, waiting for a new one");
    }
    if (this.#lease !== lease || own.state === "withdrawn") return; // lost or withdrawn meanwhile: the next round sees to it
    own.state = "written";
    own.written.resolve();
  }

  async #delete(own: Wanted): Promise<void> {
    if (own.sentKey !== undefined) await this.#deps.client.delete(own.sentKey);
    this.#all.delete(own);
    own.deleted.resolve();
  }
}
