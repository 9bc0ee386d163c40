// How busy workers say they are (`kv_metrics`), over NATS and ZMQ alike.
//
//   worker ── kv_metrics {worker_id, dp_rank, blocks in use, prefill tokens} ──▶ the latest per rank
//
// Nobody listens until thresholds are set: a fleet without them needs no event plane here.
// Source: Dynamo 1.6.1 (worker_monitor.rs), seen running; evidence: golden frontend lifecycle (busy), kv load-and-sync.
// I1  A worker that has said nothing is not busy; what cannot be read is skipped.
import {
  type ActiveLoad,
  decodeActiveLoad,
  decodeEnvelope,
  decodeEventChannel,
  decodeZmqFrames,
  eventChannelPrefix,
  type InstanceId,
  toAppError,
} from "@mm-router/protocol";
import { type Discovery, type Logger, Lru, type Runtime, type Watch, ZmqSubscription } from "@mm-router/runtime";

/** Subjects of releases ≤ 1.2, and of those since. */
const subjects = ["namespace.*.kv_metrics", "namespace.*.component.*.endpoint.*.kv_metrics"];
const topic = "kv_metrics";
/** Workers whose load is remembered. */
const workersMax = 10_000;

export class WorkerLoads {
  readonly #runtime: Pick<Runtime, "nats" | "discovery">;
  readonly #log: Logger;
  readonly #loads = new Lru<InstanceId, Map<number, ActiveLoad>>({ weightMax: workersMax });
  readonly #publishers = new Map<string, Promise<ZmqSubscription | undefined>>();
  #watch: Watch | undefined;
  #closed = false;

  constructor(runtime: Pick<Runtime, "nats" | "discovery">, log: Logger) {
    this.#runtime = runtime;
    this.#log = log;
  }

  /** Begins to listen; a second call does nothing. */
  listen(): void {
    if (this.#watch !== undefined || this.#closed) return;
    this.#watch = this.#watchPublishers(this.#runtime.discovery);
    void this.#subscribe();
  }

  /** By data-parallel rank; undefined while the worker has said nothing. */
  of(id: InstanceId): ReadonlyMap<number, ActiveLoad> | undefined {
    return this.#loads.get(id);
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
    for (const key of this.#publishers.keys()) this.#leave(key);
  }

  async #subscribe(): Promise<void> {
    try {
      const nats = await this.#runtime.nats();
      for (const subject of subjects) {
        nats.subscribe(subject, {
          callback: (error, message) => {
            if (error === null) this.#note(() => decodeEnvelope(message.data).payload);
          },
        });
      }
    } catch (error) {
      this.#log.warn("workers' load over NATS is not heard", { error: toAppError(error).message });
    }
  }

  #watchPublishers(discovery: Pick<Discovery, "watch">): Watch {
    return discovery.watch(eventChannelPrefix, {
      put: (key, value) => {
        this.#leave(key);
        const endpoint = zmqEndpointOf(value);
        if (endpoint !== undefined) this.#publishers.set(key, this.#hear(endpoint));
      },
      delete: (key) => this.#leave(key),
    });
  }

  async #hear(endpoint: string): Promise<ZmqSubscription | undefined> {
    try {
      return await ZmqSubscription.open(endpoint, topic, {
        connected: () => {},
        message: (frames) => this.#note(() => decodeZmqFrames(frames).payload),
      });
    } catch (error) {
      this.#log.warn("a worker's load over ZMQ is not heard", { endpoint, error: toAppError(error).message });
      return undefined;
    }
  }

  #leave(key: string): void {
    void this.#publishers.get(key)?.then((subscription) => subscription?.close());
    this.#publishers.delete(key);
  }

  #note(payload: () => Uint8Array): void {
    try {
      const load = decodeActiveLoad(payload());
      const ranks = this.#loads.get(load.worker_id) ?? new Map<number, ActiveLoad>();
      ranks.set(load.dp_rank, load);
      this.#loads.set(load.worker_id, ranks);
    } catch (error) {
      this.#log.debug("a load that cannot be read", { error: toAppError(error).message });
    }
  }
}

/** Of a channel with this topic; other channels may have scopes that are not read here. */
function zmqEndpointOf(value: string): string | undefined {
  try {
    const channel = decodeEventChannel(value);
    return channel.topic === topic && channel.transport.kind === "zmq" ? channel.transport.endpoint : undefined;
  } catch {
    return undefined;
  }
}
