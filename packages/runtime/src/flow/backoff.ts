// Growing, jittered waits between attempts, so that many clients of a server that comes back do not arrive together.
//
//   ceiling   first, 2·first, 4·first, … max
//   wait      ceiling/2 … ceiling, at random
import { pause } from "./pause.ts";

export interface BackoffOptions {
  /** Ceiling of the first wait, milliseconds. */
  readonly firstMs: number;
  /** Ceiling of every later wait, milliseconds. */
  readonly maxMs: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #ceilingMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#ceilingMs = options.firstMs;
  }

  /** Milliseconds to wait before the next attempt; each call raises the ceiling. */
  next(): number {
    const { maxMs, random = Math.random } = this.#options;
    const ceilingMs = Math.min(this.#ceilingMs, maxMs);
    this.#ceilingMs = ceilingMs * 2;
    return ceilingMs / 2 + (random() * ceilingMs) / 2;
  }

  /** After a success: the next wait is a first one again. */
  reset(): void {
    this.#ceilingMs = this.#options.firstMs;
  }

  /** Waits `next()` milliseconds, or until `signal` aborts. Never rejects. */
  async wait(signal: AbortSignal): Promise<void> {
    await pause(this.next(), signal);
  }
}
