// A first-in-first-out queue between one producer that must not wait and one consumer that works at its own pace.
//
// I1  At most `capacity` items; a full queue refuses, and the producer decides what that means.
// I2  What was accepted before `close()` is still given out.

export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly capacity: number;
  /** Items from `#first` on are waiting; what is before it was given out and is cut off in bulk. */
  #items: T[] = [];
  #first = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.#items.length - this.#first;
  }

  /** Appends an item. @returns false when the queue is full or closed: the item was not taken */
  offer(item: T): boolean {
    if (this.#closed || this.size >= this.capacity) return false;
    this.#items.push(item);
    this.#signal();
    return true;
  }

  /** Takes the oldest item without waiting. */
  poll(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#first++];
    if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  /** Drops everything that waits. */
  clear(): void {
    this.#items = [];
    this.#first = 0;
  }

  /** No more items; the consumer gets what is left, then its loop ends. */
  close(): void {
    this.#closed = true;
    this.#signal();
  }

  /** Gives items as they come; ends after `close()`. One consumer at a time. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      while (this.size > 0) yield this.poll() as T;
      if (this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
