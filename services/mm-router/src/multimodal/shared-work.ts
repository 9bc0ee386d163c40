// Work that several requests want at the same time is done once. It ends early only when the last of them has left.

interface Running<V> {
  readonly result: Promise<V>;
  readonly stop: AbortController;
  waiting: number;
}

export class SharedWork<K, V> {
  readonly #running = new Map<K, Running<V>>();

  has(key: K): boolean {
    return this.#running.has(key);
  }

  /**
   * Joins the work under `key`, or starts it.
   *
   * @param start gets a signal that aborts when nobody waits any more
   * @throws the signal's reason as soon as it aborts, or what the work throws
   */
  async join(key: K, signal: AbortSignal, start: (signal: AbortSignal) => Promise<V>): Promise<V> {
    signal.throwIfAborted();
    const work = this.#running.get(key) ?? this.#start(key, start);
    work.waiting += 1;
    const left = Promise.withResolvers<never>();
    const leave = () => left.reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([work.result, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      work.waiting -= 1;
      if (work.waiting === 0) this.#end(key, work);
    }
  }

  #start(key: K, start: (signal: AbortSignal) => Promise<V>): Running<V> {
    const stop = new AbortController();
    const work: Running<V> = { result: start(stop.signal), stop, waiting: 0 };
    this.#running.set(key, work);
    return work;
  }

  /** Nobody may join any more: the work is done, or is about to be given up. */
  #end(key: K, work: Running<V>): void {
    if (this.#running.get(key) === work) this.#running.delete(key);
    work.stop.abort();
    work.result.catch(() => {}); // rejected after all have left: nobody is there to be told
  }
}
