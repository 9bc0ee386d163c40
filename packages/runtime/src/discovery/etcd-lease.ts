// One lease, kept alive, and replaced when it is lost.
//
//   grant ──▶ keep-alive every TTL/3 ──▶ answer TTL > 0: lives
//     ▲                                  answer TTL 0:   lost ─▶ grant again, tell the owner the new id
//     │                                  no answer:      ask again until there is one
//     └──────────────────────────────────────┘
//
// Only etcd decides that a lease is lost. It restarts the time of every lease when it boots, so after an outage longer than the
// TTL the same lease may live on; who had given up by then would stand there twice.
import { Backoff } from "../flow/backoff.ts";
import { pause } from "../flow/pause.ts";
import type { Logger } from "../service/log.ts";
import type { EtcdClient } from "./etcd-client.ts";

export interface EtcdLeaseDeps {
  readonly client: EtcdClient;
  readonly log: Logger;
}

export class EtcdLease {
  readonly #deps: EtcdLeaseDeps;
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff({ firstMs: 100, maxMs: 2000 });
  readonly #askedTtlS: number;
  #ttlS: number;
  #id: bigint;
  #hurry = new AbortController();

  private constructor(first: { lease: bigint; ttlS: number }, askedTtlS: number, deps: EtcdLeaseDeps) {
    this.#id = first.lease;
    this.#ttlS = first.ttlS;
    this.#askedTtlS = askedTtlS;
    this.#deps = deps;
  }

  /** @throws AppError of the grant call; nothing is retried */
  static async grant(ttlS: number, deps: EtcdLeaseDeps): Promise<EtcdLease> {
    return new EtcdLease(await deps.client.grantLease(ttlS), ttlS, deps);
  }

  get id(): bigint {
    return this.#id;
  }

  /**
   * Keeps the lease alive until closed; call once.
   *
   * @param onReplaced with the new id, after a loss; must not reject
   */
  async keep(onReplaced: (id: bigint) => void): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#restBetweenCalls();
      if (signal.aborted) return;
      if (await this.#lives()) continue;
      if (await this.#grantAgain()) onReplaced(this.#id);
    }
  }

  /** Asks etcd now instead of at the next third of the TTL: somebody heard that the lease is gone. */
  check(): void {
    this.#hurry.abort();
  }

  /** Stops keeping it and gives it back; never rejects, takes at most a second. */
  async close(): Promise<void> {
    this.#closing.abort();
    const { client, log } = this.#deps;
    await client.revokeLease(this.#id).catch((error) => log.warn("lease not revoked, it will run out", { error }));
  }

  async #restBetweenCalls(): Promise<void> {
    this.#hurry = new AbortController();
    await pause((this.#ttlS * 1000) / 3, AbortSignal.any([this.#closing.signal, this.#hurry.signal]));
  }

  /** Asks until etcd says whether the lease lives; true as well when closed meanwhile. */
  async #lives(): Promise<boolean> {
    const { client, log } = this.#deps;
    const { signal } = this.#closing;
    for (let unanswered = 0; !signal.aborted; unanswered++) {
      try {
        const ttlS = await client.keepLeaseAlive(this.#id);
        this.#backoff.reset();
        if (unanswered > 0 && ttlS > 0) log.info("etcd answers again, the lease lives", { lease: this.#id.toString(16) });
        return ttlS > 0;
      } catch (error) {
        if (unanswered === 0) log.warn("lease keep-alive unanswered, asking on", { error });
        await this.#backoff.wait(signal);
      }
    }
    return true;
  }

  /** @returns whether there is a new lease; false when closed meanwhile (a lease granted too late has no keys and runs out) */
  async #grantAgain(): Promise<boolean> {
    const { client, log } = this.#deps;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const { lease, ttlS } = await client.grantLease(this.#askedTtlS);
        if (signal.aborted) return false;
        log.warn("lease was lost, a new one granted", { lost: this.#id.toString(16), lease: lease.toString(16) });
        this.#id = lease;
        this.#ttlS = ttlS;
        return true;
      } catch (error) {
        log.debug("no new lease yet", { error });
        await this.#backoff.wait(signal);
      }
    }
    return false;
  }
}
