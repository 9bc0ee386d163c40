// Time as an argument, so that what counts time can be tested without waiting.

export interface Clock {
  /** Milliseconds on a clock that never goes back; its zero means nothing. */
  now(): number;
}

export const systemClock: Clock = { now: () => performance.now() };

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
