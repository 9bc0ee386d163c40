// Who can serve a request now: instances that are alive, with what their cards say.
//
// An instance without a card is left out until its card comes (both orders happen, milliseconds apart); a card without an
// instance is a worker that leaves or that died.
import { type CardEntry, type EndpointAddress, type ImageDialect, type Instance, type InstanceId, sameAddress } from "@mm-router/protocol";
import type { InstanceSet } from "@mm-router/runtime";
import type { CardBook } from "./card-book.ts";
import { type Worker, type WorkerOptions, workerOf } from "./worker.ts";

export interface WorkerDirectoryOptions extends WorkerOptions {
  readonly address: EndpointAddress;
  readonly instances: InstanceSet;
  readonly cards: CardBook;
  /** Called once for each worker that appears. */
  readonly onWorker?: (worker: Worker) => void;
  /** Called with the number of workers after a change. */
  readonly onChange?: (workers: number) => void;
}

export class WorkerDirectory {
  private readonly options: WorkerDirectoryOptions;
  private readonly stops: readonly (() => void)[];
  private readonly changed = new Set<() => void>();
  private readonly pins = new Map<InstanceId, ImageDialect>();
  private workers: ReadonlyMap<InstanceId, Worker> = new Map();

  constructor(options: WorkerDirectoryOptions) {
    this.options = options;
    this.refresh();
    const refresh = () => this.refresh();
    this.stops = [options.instances.onChange(refresh), options.cards.onChange(refresh)];
  }

  /** All workers, also those set aside after a failure; in the order of their ids. */
  list(): Worker[] {
    return this.ofInstances(this.options.instances.list());
  }

  get(instanceId: InstanceId): Worker | undefined {
    return this.workers.get(instanceId);
  }

  /** Those that may be chosen. */
  available(): Worker[] {
    return this.ofInstances(this.options.instances.available());
  }

  /** Resolves as soon as there is a worker. */
  async first(signal: AbortSignal): Promise<void> {
    while (this.workers.size === 0) {
      signal.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.changed.add(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
      this.changed.delete(resolve);
    }
  }

  /** What a worker's events showed counts more than what its card promised, as long as the instance lives. */
  pin(instanceId: InstanceId, dialect: ImageDialect): void {
    this.pins.set(instanceId, dialect);
    this.refresh();
  }

  close(): void {
    for (const stop of this.stops) stop();
  }

  private ofInstances(instances: readonly Instance[]): Worker[] {
    return instances.flatMap(({ instanceId }) => this.workers.get(instanceId) ?? []);
  }

  private refresh(): void {
    const { address, instances, cards, onWorker, onChange } = this.options;
    const before = this.workers;
    const cardOf = new Map<InstanceId, CardEntry>();
    for (const entry of cards.list()) if (sameAddress(entry.address, address)) cardOf.set(entry.instanceId, entry);
    const workers = instances.list().flatMap((instance): [InstanceId, Worker][] => {
      const card = cardOf.get(instance.instanceId);
      return card === undefined ? [] : [[instance.instanceId, this.workerOf(instance, card)]];
    });
    this.workers = new Map(workers);
    for (const id of this.pins.keys()) if (!this.workers.has(id)) this.pins.delete(id);
    for (const [id, worker] of workers) if (!before.has(id)) onWorker?.(worker);
    onChange?.(workers.length);
    for (const resolve of this.changed) resolve();
  }

  private workerOf(instance: Instance, card: CardEntry): Worker {
    const imageDialect = this.options.imageDialect ?? this.pins.get(instance.instanceId);
    return workerOf(instance, card, { ...this.options, imageDialect });
  }
}
