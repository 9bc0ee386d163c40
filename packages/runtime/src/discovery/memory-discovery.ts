// Discovery without a server: for tests and single-process use. Keeps the same promises as etcd's (discovery.suite.ts).
//
//   MemoryStore ◀── MemoryDiscovery (one per "process") ── register, watch
//
// Watchers hear of a change in a later turn, in the order of the changes, as they would over a connection.
import type { InstanceId } from "@mm-router/protocol";
import { closedError, type Discovery, type Registration, type RegistrationEntry, type Watch, type WatchListener } from "./discovery.ts";

/** What several processes share; ids count up from a number that JSON would damage, as real ones do. */
export class MemoryStore {
  readonly #entries = new Map<string, { readonly value: string; readonly lease: InstanceId }>();
  readonly #watches = new Set<MemoryWatch>();
  #newestLease = 8_328_741_188_661_731_592n;

  connect(): MemoryDiscovery {
    return new MemoryDiscovery(this);
  }

  grantLease(): InstanceId {
    this.#newestLease += 1n;
    return this.#newestLease as InstanceId;
  }

  revokeLease(lease: InstanceId): void {
    for (const [key, entry] of this.#entries) if (entry.lease === lease) this.delete(key);
  }

  putIfAbsent(key: string, value: string, lease: InstanceId): void {
    if (this.#entries.has(key)) return;
    this.#entries.set(key, { value, lease });
    for (const watch of this.#watches) watch.changed(key, value);
  }

  delete(key: string): void {
    if (!this.#entries.delete(key)) return;
    for (const watch of this.#watches) watch.changed(key, undefined);
  }

  watch(prefix: string, listener: WatchListener): Watch {
    const watch = new MemoryWatch(prefix, listener, () => this.#watches.delete(watch));
    for (const [key, { value }] of this.#entries) watch.changed(key, value);
    watch.listed();
    this.#watches.add(watch);
    return watch;
  }
}

export class MemoryDiscovery implements Discovery {
  readonly #store: MemoryStore;
  readonly #wanted = new Set<{ readonly entry: RegistrationEntry; key: string }>();
  readonly #watches = new Set<Watch>();
  readonly #listeners = new Set<(id: InstanceId) => void | Promise<void>>();
  #instanceId: InstanceId;
  #closed = false;

  constructor(store: MemoryStore) {
    this.#store = store;
    this.#instanceId = store.grantLease();
  }

  get instanceId(): InstanceId {
    return this.#instanceId;
  }

  async register(entry: RegistrationEntry, signal?: AbortSignal): Promise<Registration> {
    signal?.throwIfAborted();
    if (this.#closed) throw closedError();
    const own = { entry, key: this.#write(entry) };
    this.#wanted.add(own);
    const withdraw = async (): Promise<void> => {
      if (this.#wanted.delete(own)) this.#store.delete(own.key);
    };
    return { withdraw };
  }

  onInstanceIdChanged(listener: (id: InstanceId) => void | Promise<void>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  watch(prefix: string, listener: WatchListener): Watch {
    if (this.#closed) throw closedError();
    const watch = this.#store.watch(prefix, listener);
    this.#watches.add(watch);
    return watch;
  }

  /** As if the store had let this process's lease run out: keys vanish, a new id, keys written again. */
  async loseLease(): Promise<void> {
    this.#store.revokeLease(this.#instanceId);
    this.#instanceId = this.#store.grantLease();
    await Promise.allSettled([...this.#listeners].map(async (listener) => listener(this.#instanceId)));
    for (const own of this.#wanted) own.key = this.#write(own.entry);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const watch of this.#watches) watch.close();
    this.#store.revokeLease(this.#instanceId);
  }

  #write(entry: RegistrationEntry): string {
    const { key, value } = entry(this.#instanceId);
    this.#store.putIfAbsent(key, value, this.#instanceId);
    return key;
  }
}

class MemoryWatch implements Watch {
  readonly ready: Promise<void>;
  readonly #prefix: string;
  readonly #listener: WatchListener;
  readonly #forget: () => void;
  readonly #firstList = Promise.withResolvers<void>();
  readonly #known = new Map<string, string>();
  #closed = false;

  constructor(prefix: string, listener: WatchListener, forget: () => void) {
    this.#prefix = prefix;
    this.#listener = listener;
    this.#forget = forget;
    this.ready = this.#firstList.promise;
    this.ready.catch(() => {}); // whoever asks gets the rejection; nobody needs to ask
  }

  changed(key: string, value: string | undefined): void {
    if (key.startsWith(this.#prefix)) this.#later(() => this.#tell(key, value));
  }

  listed(): void {
    this.#later(() => {
      this.#listener.synced?.();
      this.#firstList.resolve();
    });
  }

  close(): void {
    this.#closed = true;
    this.#forget();
    this.#firstList.reject(closedError());
  }

  #tell(key: string, value: string | undefined): void {
    if (value === undefined) {
      if (this.#known.delete(key)) this.#listener.delete(key);
    } else if (this.#known.get(key) !== value) {
      this.#known.set(key, value);
      this.#listener.put(key, value);
    }
  }

  #later(callback: () => void): void {
    queueMicrotask(() => {
      if (!this.#closed) callback();
    });
  }
}
