// Memory that requests share: bytes of files and pixels in flight. 64 downloads of 32 MiB would be 2 GiB, a 40-megapixel image is 160 MB.

export class ByteBudget {
  readonly #bytesMax: number;
  readonly #waiting = new Set<{ readonly bytes: number; admit(): void }>();
  #taken = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get taken(): number {
    return this.#taken;
  }

  /** @returns false when there is not that much left */
  tryTake(bytes: number): boolean {
    if (this.#taken + bytes > this.#bytesMax) return false;
    this.#taken += bytes;
    return true;
  }

  /** Waits until there is that much, first come first served; whoever wants more than all of it gets all of it. */
  async take(bytes: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const wanted = Math.min(bytes, this.#bytesMax);
    if (this.#waiting.size > 0 || !this.tryTake(wanted)) await this.#wait(wanted, signal);
    return () => this.give(wanted);
  }

  give(bytes: number): void {
    this.#taken -= bytes;
    for (const waiter of this.#waiting) {
      if (!this.tryTake(waiter.bytes)) return;
      this.#waiting.delete(waiter);
      waiter.admit();
    }
  }

  async #wait(bytes: number, signal: AbortSignal): Promise<void> {
    const turn = Promise.withResolvers<void>();
    const waiter = { bytes, admit: turn.resolve };
    const abort = () => {
      this.#waiting.delete(waiter);
      turn.reject(signal.reason);
    };
    this.#waiting.add(waiter);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await turn.promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}
