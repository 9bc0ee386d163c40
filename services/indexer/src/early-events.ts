// Events of workers that discovery has not named yet: a registration and the first event travel different ways.
//
// I1  At most `eventsMax` events of all workers together, each for at most `ageMaxMs`.
import type { InstanceId, RouterEvent, U64 } from "@mm-router/protocol";
import type { EventSource } from "@mm-router/runtime";

export interface EarlyEvent {
  readonly event: RouterEvent;
  readonly publisherId: U64 | undefined;
  readonly source: EventSource;
}

const eventsMax = 4_096;
const ageMaxMs = 10_000;

export class EarlyEvents {
  readonly #byWorker = new Map<InstanceId, { readonly since: number; readonly events: EarlyEvent[] }>();
  #size = 0;

  /** @returns false when there is no room */
  add(early: EarlyEvent, nowMs: number): boolean {
    this.#expire(nowMs);
    if (this.#size >= eventsMax) return false;
    const workerId = early.event.worker_id;
    const waiting = this.#byWorker.get(workerId);
    if (waiting === undefined) this.#byWorker.set(workerId, { since: nowMs, events: [early] });
    else waiting.events.push(early);
    this.#size++;
    return true;
  }

  /** What waits for a worker, in order; it waits no longer. */
  take(workerId: InstanceId): readonly EarlyEvent[] {
    const events = this.#byWorker.get(workerId)?.events ?? [];
    this.#byWorker.delete(workerId);
    this.#size -= events.length;
    return events;
  }

  /** The first of a worker's events came first of all, so workers are in the order of their age. */
  #expire(nowMs: number): void {
    for (const [workerId, { since }] of this.#byWorker) {
      if (nowMs - since < ageMaxMs) return;
      this.take(workerId);
    }
  }
}
