// Who is there: keys that live as long as their process, and watches that always end up true.
//
//   process A ── register(key, value) ──▶ ┌───────┐ ── put / delete / synced ──▶ process B
//             ── lease, kept alive ─────▶ │ store │
//                                         └───────┘
//
// I1  A registration is wanted until it is withdrawn: a lost lease means a new lease, a new id, and the key written again.
// I2  What a watch told its listener so far is its map. While the store is away the map stays as it is.
// I3  After any doubt a watch lists again and tells the difference only.
//
// Implementations: etcd-discovery.ts, memory-discovery.ts; both pass discovery.suite.ts.
import { AppError, type InstanceId } from "@mm-router/protocol";

export interface Discovery {
  /** The lease id, which is this process's instance id. Changes when the lease was lost (I1). */
  readonly instanceId: InstanceId;

  /**
   * Writes a key under this process's lease unless it exists already (an existing key counts as success), and keeps it written.
   *
   * @param entry  asked for key and value now, and again with the new id after the lease was lost
   * @param signal gives the attempt up: the promise rejects and the key is no longer wanted
   * @returns when the key is written; while the store is away it waits
   */
  register(entry: RegistrationEntry, signal?: AbortSignal): Promise<Registration>;

  /**
   * Fires when the lease was lost and a new one granted; awaited before any key is written under the new id, so that
   * subscriptions which carry the id can move first.
   * Does not fire for the first lease, nor when the store was away and the lease lived on. A listener that rejects is logged.
   *
   * @returns a function that removes the listener
   */
  onInstanceIdChanged(listener: (id: InstanceId) => void | Promise<void>): () => void;

  /** Follows all keys that begin with `prefix` (plain text comparison: end it with `/` where a boundary is meant). */
  watch(prefix: string, listener: WatchListener): Watch;

  /** Ends all watches, gives the lease back (its keys vanish at once), and closes the connection. May be called twice. */
  close(): Promise<void>;
}

export type RegistrationEntry = (instanceId: InstanceId) => { readonly key: string; readonly value: string };

export interface Registration {
  /** Deletes the key and stops wanting it. Resolves when it is deleted, or when the store stays away too long: then the lease ends it. */
  withdraw(): Promise<void>;
}

export interface WatchListener {
  /** Fires when a key is new or its value differs from the last one told. Does not fire when the same value is written again. */
  put(key: string, value: string): void;
  /** Fires when a key that was told is gone. Does not fire because the store is away. */
  delete(key: string): void;
  /** Fires after each complete list, its differences told before. Does not fire after single changes. */
  synced?(): void;
}

export interface Watch {
  /** Resolves after the first complete list; rejects (`client_closed`) when the watch is closed before. */
  readonly ready: Promise<void>;
  /** No callback comes after it. */
  close(): void;
}

/** How to reach etcd. Upstream's variables are read in service/runtime-fields.ts. */
export interface EtcdConfig {
  /** `http://host:port` or `https://…`, all alike; one is used at a time. */
  readonly endpoints: readonly string[];
  readonly login?: { readonly username: string; readonly password: string };
  /** Each is a path or the PEM text itself: upstream documents paths and uses text. */
  readonly tls?: { readonly ca: string; readonly clientCert: string; readonly clientKey: string };
  /** Seconds for which a silent process stays listed. */
  readonly leaseTtlS: number;
  /** Milliseconds for which the first connection may be tried. */
  readonly connectDeadlineMs: number;
}

/** What is pending when discovery is closed ends in this. */
export function closedError(): AppError {
  return new AppError("client_closed", "discovery was closed");
}
