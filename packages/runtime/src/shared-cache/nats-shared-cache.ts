// A shared cache in a NATS KV bucket, in the server's memory.
//
//   get ─ bucket open? ─ no ──▶ undefined, and it is opened in the background
//              └ yes ─▶ direct get, within `deadlineMs` ─ failed ──▶ undefined, and it is opened again
//
// After some failures in a row nobody is asked for a while. A bucket that is full refuses new values until old ones expire (the
// client's buckets discard the new). Whoever opens it first sets its limits. JetStream must be on; a server without it is as good as none.
import { jetstream, StorageType } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { Breaker, systemClock, withDeadline } from "../flow/index.ts";
import type { Logger } from "../service/index.ts";
import type { SharedCache } from "./shared-cache.ts";

export interface SharedCacheLimits {
  /** Letters, digits, `-` and `_`. */
  readonly bucket: string;
  readonly ttlS: number;
  /** Of the whole bucket, keys and bookkeeping included. */
  readonly bytesMax: number;
  readonly valueBytesMax: number;
  /** For one answer. */
  readonly deadlineMs: number;
  /** How long a server that fails is left alone. */
  readonly restMs: number;
}

/** Opening asks the server three things; it may be far, and nobody waits for it. */
const openMs = 5_000;
const failuresMax = 2;
/** Values on their way; more at a time are dropped. */
const putsMax = 64;

export class NatsSharedCache implements SharedCache {
  readonly #nats: () => Promise<NatsConnection>;
  readonly #limits: SharedCacheLimits;
  readonly #log: Logger;
  readonly #breaker: Breaker;
  #bucket: KV | undefined;
  #isOpening = false;
  #puts = 0;

  /** Begins to open the bucket at once. */
  constructor(nats: () => Promise<NatsConnection>, limits: SharedCacheLimits, log: Logger) {
    this.#nats = nats;
    this.#limits = limits;
    this.#log = log;
    this.#breaker = new Breaker({ failuresMax, restMs: limits.restMs, clock: systemClock });
    this.#openSoon();
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const bucket = this.#openedBucket();
    if (bucket === undefined) return undefined;
    try {
      const entry = await withDeadline(bucket.get(key), this.#limits.deadlineMs, "the shared cache");
      this.#breaker.succeeded();
      return entry?.operation === "PUT" ? entry.value : undefined;
    } catch (error) {
      if (this.#bucket === bucket) this.#bucket = undefined; // a server that lost its memory has none
      this.#failed("shared cache not read", error);
      return undefined;
    }
  }

  put(key: string, value: Uint8Array): void {
    const bucket = this.#openedBucket();
    if (bucket === undefined || this.#puts >= putsMax || value.length > this.#limits.valueBytesMax) return;
    this.#puts++;
    bucket
      .put(key, value)
      .catch((error: unknown) => this.#log.debug("shared cache not written", { bucket: this.#limits.bucket, error }))
      .finally(() => this.#puts--);
  }

  #openedBucket(): KV | undefined {
    if (this.#bucket === undefined) this.#openSoon();
    return this.#bucket;
  }

  #openSoon(): void {
    if (this.#isOpening || !this.#breaker.mayAsk()) return;
    this.#isOpening = true;
    this.#open()
      .then(
        (bucket) => (this.#bucket = bucket),
        (error: unknown) => this.#failed("no shared cache", error),
      )
      .finally(() => (this.#isOpening = false));
  }

  #failed(what: string, error: unknown): void {
    this.#breaker.failed();
    this.#log.debug(what, { bucket: this.#limits.bucket, error });
  }

  async #open(): Promise<KV> {
    const { bucket, ttlS, bytesMax, valueBytesMax } = this.#limits;
    const client = jetstream(await this.#nats(), { timeout: openMs });
    const limits = { ttl: ttlS * 1000, max_bytes: bytesMax, maxValueSize: valueBytesMax, storage: StorageType.Memory, history: 1 };
    return await new Kvm(client).create(bucket, limits);
  }
}
