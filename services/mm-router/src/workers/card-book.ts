// The model cards of a namespace, as discovery tells them.
import { AppError, type CardEntry, decodeCardEntry } from "@mm-router/protocol";
import type { Logger, WatchListener } from "@mm-router/runtime";

export class CardBook implements WatchListener {
  private readonly entries = new Map<string, CardEntry>();
  private readonly listeners = new Set<() => void>();
  private readonly log: Logger;

  constructor(log: Logger) {
    this.log = log;
  }

  /** Cards of base models, in the order of their keys; LoRA adapters have cards of their own and are left out. */
  list(): CardEntry[] {
    const keys = [...this.entries.keys()].sort();
    return keys.map((key) => this.entries.get(key)!).filter(({ suffix }) => suffix === undefined);
  }

  /** Fires after a card came, changed or went. Returns the way to stop. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  put(key: string, value: string): void {
    try {
      this.entries.set(key, decodeCardEntry(key, value));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.log.warn("model card skipped", { key, reason: error.message });
      if (!this.entries.delete(key)) return;
    }
    this.changed();
  }

  delete(key: string): void {
    if (this.entries.delete(key)) this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
