// A map that forgets what was not used for longest once it holds too much.
//
// Weight is whatever `weightOf` says (bytes, say); without it every entry weighs 1, and the limit is a count.

export interface LruOptions<V> {
  /** Most weight held at a time. An entry heavier than this is not kept at all. */
  readonly weightMax: number;
  readonly weightOf?: (value: V) => number;
}

export class Lru<K, V> {
  readonly #options: LruOptions<V>;
  /** In the order of use: JavaScript's Map keeps insertion order, so a use is a delete and a set. */
  readonly #entries = new Map<K, { readonly value: V; readonly weight: number }>();
  #weight = 0;

  constructor(options: LruOptions<V>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#weight;
  }

  /** Counts as a use. */
  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: K, value: V): void {
    this.delete(key);
    const weight = this.#options.weightOf?.(value) ?? 1;
    if (weight > this.#options.weightMax) return;
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#options.weightMax) return;
      this.delete(oldest);
    }
  }

  delete(key: K): void {
    this.#weight -= this.#entries.get(key)?.weight ?? 0;
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }
}
