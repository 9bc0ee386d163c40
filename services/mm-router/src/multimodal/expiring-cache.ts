// Remembers a bounded number of values, each until its time; forgets what was not used for longest.

interface Entry<V> {
  readonly value: V;
  readonly expiresAt: number;
}

export class ExpiringCache<K, V> {
  readonly #entriesMax: number;
  readonly #now: () => number;
  /** In the order of use: a Map keeps insertion order, so a use is a delete and a set. */
  readonly #entries = new Map<K, Entry<V>>();

  /** @param now milliseconds of a clock that does not jump */
  constructor(entriesMax: number, now: () => number = () => performance.now()) {
    this.#entriesMax = entriesMax;
    this.#now = now;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.expiresAt <= this.#now()) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** @param ms how long; 0 or less keeps nothing */
  set(key: K, value: V, ms: number): void {
    this.#entries.delete(key);
    if (ms <= 0) return;
    this.#entries.set(key, { value, expiresAt: this.#now() + ms });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#entriesMax) return;
      this.#entries.delete(oldest);
    }
  }
}
