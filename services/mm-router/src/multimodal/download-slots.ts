// How many downloads run at a time, in all and per host, so that one slow server cannot hold all of them.
import { ImageProblem } from "@mm-router/protocol";

export interface SlotLimits {
  readonly parallel: number;
  readonly parallelPerHost: number;
  /** Longest wait for a slot. */
  readonly waitMs: number;
}

interface Waiter {
  readonly host: string;
  admit(): void;
}

export class DownloadSlots {
  readonly #limits: SlotLimits;
  readonly #runningByHost = new Map<string, number>();
  #running = 0;
  /** First come, first served among those whose host has a free slot. */
  readonly #waiting = new Set<Waiter>();

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /**
   * Waits for a slot.
   *
   * @returns the function that gives the slot back; calling it twice does nothing more
   * @throws ImageProblem `busy` after `waitMs`, or the signal's reason
   */
  async take(host: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (!this.#isFree(host)) await this.#wait(host, signal);
    else this.#count(host, 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#count(host, -1);
      this.#admitNext();
    };
  }

  async #wait(host: string, signal: AbortSignal): Promise<void> {
    const turn = Promise.withResolvers<void>();
    const waiter: Waiter = { host, admit: turn.resolve };
    const leave = (error: unknown) => {
      this.#waiting.delete(waiter); // now: a slot given to who has left would be lost
      turn.reject(error);
    };
    const abort = () => leave(signal.reason);
    const timer = setTimeout(() => leave(new ImageProblem("busy", `no free slot for a download from ${host}`)), this.#limits.waitMs);
    signal.addEventListener("abort", abort, { once: true });
    this.#waiting.add(waiter);
    try {
      await turn.promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  /** The slot is counted before the waiter runs: between its promise and its next line others may ask. */
  #admitNext(): void {
    for (const waiter of this.#waiting) {
      if (!this.#isFree(waiter.host)) continue;
      this.#waiting.delete(waiter);
      this.#count(waiter.host, 1);
      waiter.admit();
      return;
    }
  }

  #isFree(host: string): boolean {
    return this.#running < this.#limits.parallel && (this.#runningByHost.get(host) ?? 0) < this.#limits.parallelPerHost;
  }

  #count(host: string, change: 1 | -1): void {
    const running = (this.#runningByHost.get(host) ?? 0) + change;
    if (running === 0) this.#runningByHost.delete(host);
    else this.#runningByHost.set(host, running);
    this.#running += change;
  }
}
