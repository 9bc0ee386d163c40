// Requests that are being answered, and the end of them.
import { withDeadline } from "@mm-router/runtime";

export class InFlight {
  #count = 0;
  #draining = false;
  readonly #empty = Promise.withResolvers<void>();

  get draining(): boolean {
    return this.#draining;
  }

  /** @returns what to call when the request is answered */
  begin(): () => void {
    this.#count++;
    return () => {
      this.#count--;
      if (this.#draining && this.#count === 0) this.#empty.resolve();
    };
  }

  /** New requests are refused from now on. Resolves when the running ones are answered, or at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    if (this.#count === 0) return;
    await withDeadline(this.#empty.promise, deadlineMs, "the end of running requests").catch(() => {}); // what is left then is cut off
  }
}
