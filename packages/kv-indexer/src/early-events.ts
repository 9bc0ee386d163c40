// Events of workers that discovery has not named yet: a registration and the first event travel different ways.
//
// I1  At most `blocksMax` blocks of all workers together, an event counted as one more, each for at most `ageMaxMs`.
import { blocksIn, type InstanceId, type RouterEvent, type U64 } from "@mm-router/protocol";
import type { EventSource } from "@mm-router/runtime";

export interface EarlyEvent {
  readonly event: RouterEvent;
  readonly publisherId: U64 | undefined;
  readonly source: EventSource;
}

/** Some 25 MB. */
const blocksMaxDefault = 262_144;
const ageMaxMs = 10_000;

interface Waiting {
  readonly since: number;
  readonly events: EarlyEvent[];
  size: number;
}

export class EarlyEvents {
  readonly #byWorker = new Map<InstanceId, Waiting>();
  readonly #expired: (events: number) => void;
  readonly #blocksMax: number;
  #size = 0;

  /** @param expired told how many events waited in vain */
  constructor(expired: (events: number) => void, blocksMax = blocksMaxDefault) {
    this.#expired = expired;
    this.#blocksMax = blocksMax;
  }

  /** @returns false when there is no room */
  add(early: EarlyEvent, nowMs: number): boolean {
    this.expire(nowMs);
    const size = 1 + blocksIn(early.event);
    if (this.#size + size > this.#blocksMax) return false;
    const workerId = early.event.worker_id;
    const waiting = this.#byWorker.get(workerId) ?? { since: nowMs, events: [], size: 0 };
    this.#byWorker.set(workerId, waiting);
    waiting.events.push(early);
    waiting.size += size;
    this.#size += size;
    return true;
  }

  /** What waits for a worker, in order; it waits no longer. */
  take(workerId: InstanceId): readonly EarlyEvent[] {
    const waiting = this.#byWorker.get(workerId);
    this.#byWorker.delete(workerId);
    this.#size -= waiting?.size ?? 0;
    return waiting?.events ?? [];
  }

  /** Drops what has waited too long. The first of a worker's events came first of all, so workers are in the order of their age. */
  expire(nowMs: number): void {
    for (const [workerId, { since }] of this.#byWorker) {
      if (nowMs - since < ageMaxMs) return;
      this.#expired(this.take(workerId).length);
    }
  }
}
