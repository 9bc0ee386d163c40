// Stops asking somebody who keeps failing, and tries again after a rest.
//
//   closed ── `failuresMax` failures in a row ──▶ resting ── after `restMs` ──▶ one trial ──▶ closed, or resting again
import type { Clock } from "./clock.ts";

export interface BreakerOptions {
  readonly failuresMax: number;
  readonly restMs: number;
  readonly clock: Clock;
}

export class Breaker {
  private readonly options: BreakerOptions;
  private failures = 0;
  private restsUntil = 0;

  constructor(options: BreakerOptions) {
    this.options = options;
  }

  /** Whether to ask now. During a trial nobody else may. */
  mayAsk(): boolean {
    if (this.failures < this.options.failuresMax) return true;
    const now = this.options.clock.now();
    if (now < this.restsUntil) return false;
    this.restsUntil = now + this.options.restMs; // this caller is the trial
    return true;
  }

  succeeded(): void {
    this.failures = 0;
  }

  failed(): void {
    this.failures++;
    if (this.failures >= this.options.failuresMax) this.restsUntil = this.options.clock.now() + this.options.restMs;
  }
}
