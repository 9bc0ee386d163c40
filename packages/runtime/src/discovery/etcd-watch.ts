// Follows one prefix of etcd and never believes a stream for longer than it must.
//
//     ┌──────────────────────────────────────────────┐
//     ▼                                              │ any doubt: stream error or end, canceled (compaction),
//   list ── tell the differences ──▶ watch from      │ revision or cluster id going back, 6 s of silence
//     │     synced                   revision + 1 ───┘ jittered wait, then list again
//     └─ failed: wait, list again
//
// I1  `#known` is exactly what the listener was told (discovery.ts I2).
// I2  The value decides whether something changed, never "its revision is higher": a wiped store counts from 1 again.
// I3  A progress answer is a sign of life and nothing more: etcd may send it before changes that it still owes.
import { AppError } from "@mm-router/protocol";
import { Backoff } from "../flow/backoff.ts";
import type { Clock } from "../flow/clock.ts";
import type { Logger } from "../service/log.ts";
import type { Watch, WatchListener } from "./discovery.ts";
import type { EtcdChange, EtcdClient, EtcdListing, EtcdRevision } from "./etcd-client.ts";

const progressIntervalMs = 2000;
/** Three unanswered progress requests. The connection's own keepalive (8 s) usually is not needed then. */
const silenceMaxMs = 6000;

export interface EtcdWatchDeps {
  readonly client: EtcdClient;
  readonly log: Logger;
  readonly clock: Clock;
}

export class EtcdWatch implements Watch {
  readonly ready: Promise<void>;
  readonly #prefix: string;
  readonly #listener: WatchListener;
  readonly #deps: EtcdWatchDeps;
  readonly #known = new Map<string, string>();
  readonly #firstList = Promise.withResolvers<void>();
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff({ firstMs: 100, maxMs: 2000 });
  #trusted = true;

  constructor(prefix: string, listener: WatchListener, deps: EtcdWatchDeps) {
    this.#prefix = prefix;
    this.#listener = listener;
    this.#deps = deps;
    this.ready = this.#firstList.promise;
    this.ready.catch(() => {}); // whoever asks gets the rejection; nobody needs to ask
    void this.#follow();
  }

  close(): void {
    this.#closing.abort();
    this.#firstList.reject(new AppError("client_closed", `the watch of ${this.#prefix} was closed before its first list`));
  }

  /** Never rejects; ends when closed. */
  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const doubt = await this.#listAndWatch().catch((error: Error) => error.message);
      if (signal.aborted) return;
      this.#noteDoubt(doubt);
      await this.#backoff.wait(signal);
    }
  }

  /** @returns why the watch can no longer be believed */
  async #listAndWatch(): Promise<string> {
    const listing = await this.#deps.client.list(this.#prefix);
    if (this.#closing.signal.aborted) return "closed";
    this.#tellDifferences(listing);
    this.#noteSynced();
    return await this.#watchFrom(listing);
  }

  #tellDifferences({ entries }: EtcdListing): void {
    for (const key of this.#known.keys()) {
      if (!entries.has(key)) this.#tell({ kind: "delete", key });
    }
    for (const [key, value] of entries) this.#tell({ kind: "put", key, value });
    this.#call(() => this.#listener.synced?.());
    this.#firstList.resolve();
  }

  async #watchFrom(listed: EtcdRevision): Promise<string> {
    const doubt = Promise.withResolvers<string>();
    let newest = listed;
    let heardMs = this.#deps.clock.now();
    const answered = (at: EtcdRevision, changes: readonly EtcdChange[]): void => {
      if (at.clusterId !== newest.clusterId) return doubt.resolve("another cluster answers");
      if (at.revision < newest.revision) return doubt.resolve("the revision went back");
      newest = at;
      heardMs = this.#deps.clock.now();
      this.#backoff.reset();
      for (const change of changes) this.#tell(change);
    };
    const stream = await this.#deps.client.watch(this.#prefix, listed.revision + 1n, { answered, ended: doubt.resolve });
    const progress = setInterval(() => {
      if (this.#deps.clock.now() - heardMs > silenceMaxMs) doubt.resolve(`no answer for ${silenceMaxMs} ms`);
      else stream.requestProgress();
    }, progressIntervalMs);
    const closed = (): void => doubt.resolve("closed");
    this.#closing.signal.addEventListener("abort", closed, { once: true });
    if (this.#closing.signal.aborted) closed();
    const reason = await doubt.promise;
    this.#closing.signal.removeEventListener("abort", closed);
    clearInterval(progress);
    stream.end();
    return reason;
  }

  #tell(change: EtcdChange): void {
    if (this.#closing.signal.aborted) return;
    if (change.kind === "delete") {
      if (this.#known.delete(change.key)) this.#call(() => this.#listener.delete(change.key));
    } else if (this.#known.get(change.key) !== change.value) {
      this.#known.set(change.key, change.value);
      this.#call(() => this.#listener.put(change.key, change.value));
    }
  }

  /** A listener that throws is a bug of its owner; the others' view of the cluster must not end with it. */
  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#deps.log.error("discovery listener failed", { prefix: this.#prefix, error });
    }
  }

  #noteDoubt(reason: string): void {
    const facts = { prefix: this.#prefix, reason, keys: this.#known.size };
    if (this.#trusted) this.#deps.log.warn("discovery in doubt, listing again", facts);
    else this.#deps.log.debug("discovery still in doubt", facts);
    this.#trusted = false;
  }

  #noteSynced(): void {
    if (!this.#trusted) this.#deps.log.info("discovery listed again", { prefix: this.#prefix, keys: this.#known.size });
    this.#trusted = true;
  }
}
