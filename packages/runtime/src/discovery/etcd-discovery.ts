// Discovery in etcd: one lease, the keys that hang on it, and the watches.
//
//   etcd-lease.ts ── lost ──▶ listeners of the new id, awaited ──▶ etcd-registrations.ts writes every key again
//   etcd-watch.ts ── one per watched prefix
//
// What happens when etcd is killed, frozen, compacted, wiped: test/etcd-discovery.test.ts.
import { AppError, type InstanceId } from "@mm-router/protocol";
import { Backoff } from "../flow/backoff.ts";
import { type Clock, systemClock } from "../flow/clock.ts";
import { withDeadline } from "../flow/deadline.ts";
import type { Logger } from "../service/log.ts";
import {
  closedError,
  type Discovery,
  type EtcdConfig,
  type Registration,
  type RegistrationEntry,
  type Watch,
  type WatchListener,
} from "./discovery.ts";
import { callDeadlineMs, EtcdClient } from "./etcd-client.ts";
import { EtcdLease } from "./etcd-lease.ts";
import { EtcdRegistrations } from "./etcd-registrations.ts";
import { EtcdWatch } from "./etcd-watch.ts";

/** A listener that hangs must not keep the process out of discovery for ever. */
const listenerDeadlineMs = 10_000;
/** Nobody's keys, among those that Dynamo's processes may read: leases are granted without a login, keys are not shown without one. */
const probePrefix = "v1/probe/";

export interface DiscoveryDeps {
  readonly log: Logger;
  readonly clock?: Clock;
}

/**
 * Connects to etcd and takes a lease.
 *
 * @throws AppError `dependency_unreachable` when etcd does not answer within `config.connectDeadlineMs` and the call then running,
 *   `configuration` when it refuses the login or a TLS file cannot be read
 */
export async function connectDiscovery(config: EtcdConfig, { log, clock = systemClock }: DiscoveryDeps): Promise<Discovery> {
  const client = new EtcdClient(config);
  try {
    const lease = await firstLease(config, client, log);
    return new EtcdDiscovery({ client, lease, log, clock });
  } catch (error) {
    client.close();
    throw error;
  }
}

async function firstLease(config: EtcdConfig, client: EtcdClient, log: Logger): Promise<EtcdLease> {
  const giveUp = AbortSignal.timeout(config.connectDeadlineMs);
  const backoff = new Backoff({ firstMs: 100, maxMs: 2000 });
  for (;;) {
    try {
      await client.list(probePrefix);
      return await EtcdLease.grant(config.leaseTtlS, { client, log });
    } catch (cause) {
      if (cause instanceof AppError && cause.code === "configuration") throw cause;
      if (giveUp.aborted) throw unreachable(config, cause);
      await backoff.wait(giveUp);
    }
  }
}

function unreachable({ endpoints, connectDeadlineMs }: EtcdConfig, cause: unknown): AppError {
  const where = endpoints.join(", ");
  const message = `etcd at ${where} does not answer within ${connectDeadlineMs / 1000} s: start it, or set ETCD_ENDPOINTS`;
  return new AppError("dependency_unreachable", message, { cause });
}

interface Parts {
  readonly client: EtcdClient;
  readonly lease: EtcdLease;
  readonly log: Logger;
  readonly clock: Clock;
}

class EtcdDiscovery implements Discovery {
  readonly #parts: Parts;
  readonly #registrations: EtcdRegistrations;
  readonly #watches = new Set<EtcdWatch>();
  readonly #listeners = new Set<(id: InstanceId) => void | Promise<void>>();
  #closed: Promise<void> | undefined;

  constructor(parts: Parts) {
    const { client, lease, log } = parts;
    this.#parts = parts;
    this.#registrations = new EtcdRegistrations(this.instanceId, { client, log, onLeaseGone: () => lease.check() });
    void lease.keep(() => void this.#moveToNewLease());
  }

  get instanceId(): InstanceId {
    return this.#parts.lease.id as InstanceId;
  }

  async register(entry: RegistrationEntry, signal?: AbortSignal): Promise<Registration> {
    const { written, withdraw } = this.#registrations.add(entry);
    const abandoned = Promise.withResolvers<never>();
    const abandon = (): void => {
      void withdraw();
      abandoned.reject(signal?.reason);
    };
    signal?.addEventListener("abort", abandon, { once: true });
    if (signal?.aborted) abandon();
    try {
      await Promise.race([written, abandoned.promise]);
    } finally {
      signal?.removeEventListener("abort", abandon);
    }
    return { withdraw: () => this.#withdrawInTime(withdraw()) };
  }

  onInstanceIdChanged(listener: (id: InstanceId) => void | Promise<void>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  watch(prefix: string, listener: WatchListener): Watch {
    if (this.#closed !== undefined) throw closedError();
    const watch = new EtcdWatch(prefix, listener, this.#parts);
    this.#watches.add(watch);
    const close = (): void => {
      this.#watches.delete(watch);
      watch.close();
    };
    return { ready: watch.ready, close };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    this.#registrations.close();
    await this.#parts.lease.close();
    this.#parts.client.close();
  }

  async #withdrawInTime(deleted: Promise<void>): Promise<void> {
    await withDeadline(deleted, callDeadlineMs, "withdrawing a key").catch((error) => {
      this.#parts.log.warn("key not deleted in time, trying on", { error });
    });
  }

  /** Never rejects. When the lease is lost again meanwhile, the later call writes the keys. */
  async #moveToNewLease(): Promise<void> {
    const id = this.instanceId;
    this.#registrations.leaseLost();
    await Promise.all([...this.#listeners].map((listener) => this.#tellInTime(listener, id)));
    if (this.instanceId === id) this.#registrations.moveTo(id);
  }

  async #tellInTime(listener: (id: InstanceId) => void | Promise<void>, id: InstanceId): Promise<void> {
    const told = withDeadline(async () => listener(id), listenerDeadlineMs, "a listener of the new instance id");
    await told.catch((error) => this.#parts.log.error("listener of the new instance id failed", { error }));
  }
}
