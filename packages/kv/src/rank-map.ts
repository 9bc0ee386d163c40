// A map keyed by rank: worker id, then dp rank. No key text is made on the way.
//
// A Map hashes a bigint at ten times the cost of a small integer, and every event asks here. So workers are found by the low 30 bits of
// their ids, which differ in practice, and compared.
import type { InstanceId, WorkerKey } from "@mm-router/protocol";

interface Entry<T> {
  readonly key: WorkerKey;
  value: T;
}

export class RankMap<T> {
  /** Entries of workers whose ids end in the same bits. */
  private readonly entries = new Map<number, Entry<T>[]>();

  get({ workerId, dpRank }: WorkerKey): T | undefined {
    return this.find(workerId, dpRank);
  }

  /** As `get`, without an object for the key. */
  find(workerId: InstanceId, dpRank: number): T | undefined {
    const entries = this.entries.get(bucketOf(workerId));
    if (entries === undefined) return undefined;
    for (let i = 0; i < entries.length; i++) {
      const { key, value } = entries[i]!;
      if (key.dpRank === dpRank && key.workerId === workerId) return value;
    }
    return undefined;
  }

  set(key: WorkerKey, value: T): void {
    const bucket = bucketOf(key.workerId);
    const entries = this.entries.get(bucket);
    const entry = entries?.find((entry) => isSame(entry.key, key));
    if (entry !== undefined) entry.value = value;
    else if (entries === undefined) this.entries.set(bucket, [{ key, value }]);
    else entries.push({ key, value });
  }

  delete(key: WorkerKey): void {
    const bucket = bucketOf(key.workerId);
    const left = this.entries.get(bucket)?.filter((entry) => !isSame(entry.key, key)) ?? [];
    if (left.length === 0) this.entries.delete(bucket);
    else this.entries.set(bucket, left);
  }

  /** The values of all ranks of a worker, as they are now. */
  ofWorker(workerId: InstanceId): T[] {
    const entries = this.entries.get(bucketOf(workerId)) ?? [];
    return entries.filter(({ key }) => key.workerId === workerId).map(({ value }) => value);
  }

  *values(): Iterable<T> {
    for (const entries of this.entries.values()) for (const { value } of entries) yield value;
  }

  clear(): void {
    this.entries.clear();
  }
}

const bucketOf = (workerId: InstanceId): number => Number(BigInt.asUintN(30, workerId));
const isSame = (a: WorkerKey, b: WorkerKey): boolean => a.dpRank === b.dpRank && a.workerId === b.workerId;
