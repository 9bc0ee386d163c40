// A map keyed by rank: worker id, then dp rank. No key text is made on the way.
import type { InstanceId, WorkerKey } from "@mm-router/protocol";

export class RankMap<T> {
  private readonly workers = new Map<InstanceId, Map<number, T>>();

  get({ workerId, dpRank }: WorkerKey): T | undefined {
    return this.workers.get(workerId)?.get(dpRank);
  }

  set({ workerId, dpRank }: WorkerKey, value: T): void {
    const ranks = this.workers.get(workerId);
    if (ranks === undefined) this.workers.set(workerId, new Map([[dpRank, value]]));
    else ranks.set(dpRank, value);
  }

  delete({ workerId, dpRank }: WorkerKey): void {
    const ranks = this.workers.get(workerId);
    ranks?.delete(dpRank);
    if (ranks?.size === 0) this.workers.delete(workerId);
  }

  /** The values of all ranks of a worker, as they are now. */
  ofWorker(workerId: InstanceId): T[] {
    return [...(this.workers.get(workerId)?.values() ?? [])];
  }

  *values(): Iterable<T> {
    for (const ranks of this.workers.values()) yield* ranks.values();
  }

  clear(): void {
    this.workers.clear();
  }
}
