// The eight gRPC calls of etcd that discovery needs, each with a deadline, none with a retry.
//
//   Range · Put and DeleteRange (inside Txn and alone) · Txn · LeaseGrant · LeaseRevoke · LeaseKeepAlive · Watch
//
// They run on the generated clients of etcd3, which bring TLS and login. What etcd3 builds on top of them (watch, lease, retries,
// circuit breaker) loses events and leases without telling: its policies are switched off here, and what replaces them is
// etcd-watch.ts and etcd-lease.ts. See docs/adr on etcd3.
//
// I1  One endpoint is used until a call to it fails; then the next. (etcd3 with several hosts would throw dice for each call, and
//     without its retries every second one would fail while one of two hosts is down.)
//
// Gotchas: u64 arrive as decimal strings; event types are "Put" and "Delete"; cancelling a stream emits an `error` later.
import { readFileSync } from "node:fs";
import { AppError } from "@mm-router/protocol";
import { noop } from "cockatiel";
import {
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  type IOptions,
  type IResponseHeader,
} from "etcd3";
import type { EtcdConfig } from "./discovery.ts";

/** What etcd3's duplex streams have in common. */
interface EtcdStream {
  on(event: "end", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  end(): void;
  cancel(): void;
}

/** Longest wait for any answer but a watch's: a frozen server must be noticed well within a lease's life. */
export const callDeadlineMs = 3000;
const revokeDeadlineMs = 1000;

export interface EtcdRevision {
  /** A store that was wiped or replaced has another. */
  readonly clusterId: string;
  readonly revision: bigint;
}

export interface EtcdListing extends EtcdRevision {
  readonly entries: ReadonlyMap<string, string>;
}

export type EtcdChange =
  | { readonly kind: "put"; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly key: string };

export interface EtcdWatchListener {
  /** Any answer of the server, progress reports included; `changes` in their order. */
  answered(at: EtcdRevision, changes: readonly EtcdChange[]): void;
  /** Once, with the reason; nothing comes after it. Not after `end()`. */
  ended(reason: string): void;
}

export interface EtcdWatchStream {
  /** Asks for an answer without changes: a sign of life, no proof that all changes came. */
  requestProgress(): void;
  end(): void;
}

export class EtcdClient {
  readonly #endpoints: readonly Etcd3[];
  #current: number;

  /**
   * Connects at the first call.
   *
   * @param config `endpoints` holds at least one
   * @throws AppError `configuration` when there is no endpoint or a TLS file cannot be read
   */
  constructor(config: EtcdConfig) {
    if (config.endpoints.length === 0) throw new AppError("configuration", "no etcd endpoint is given: set ETCD_ENDPOINTS");
    const options = etcdOptions(config);
    // A path after the port would become part of the host's name.
    this.#endpoints = config.endpoints.map((endpoint) => new Etcd3({ ...options, hosts: endpoint.replace(/\/+$/, "") }));
    this.#current = Math.floor(Math.random() * this.#endpoints.length);
  }

  /** All keys that begin with `prefix`. */
  async list(prefix: string): Promise<EtcdListing> {
    const { header, kvs } = await this.#call("list", (etcd) => etcd.kv.range(rangeOf(prefix), deadline()));
    const entries = new Map(kvs.map((kv) => [kv.key.toString(), kv.value.toString()]));
    return { ...revisionOf(header), entries };
  }

  /** Puts a key under a lease unless it exists. @returns `lease-gone` when nothing was written since the lease does not exist */
  async putIfAbsent(key: string, value: string, lease: bigint): Promise<"present" | "lease-gone"> {
    const keyBytes = Buffer.from(key);
    const put = { key: keyBytes, value: Buffer.from(value), lease: lease.toString() };
    const transaction = {
      compare: [{ key: keyBytes, target: "Version", result: "Equal", version: 0 } as const],
      success: [{ request_put: put }],
    };
    try {
      await this.#call("put", (etcd) => etcd.kv.txn(transaction, deadline()));
      return "present";
    } catch (error) {
      if (error instanceof AppError && error.cause instanceof EtcdLeaseInvalidError) return "lease-gone";
      throw error;
    }
  }

  async delete(key: string): Promise<void> {
    await this.#call("delete", (etcd) => etcd.kv.deleteRange({ key: Buffer.from(key) }, deadline()));
  }

  /** @returns the granted time to live, which may be longer than the one asked for (etcd's minimum is two seconds or so) */
  async grantLease(ttlS: number): Promise<{ readonly lease: bigint; readonly ttlS: number }> {
    const { ID, TTL } = await this.#call("lease grant", (etcd) => etcd.leaseClient.leaseGrant({ TTL: ttlS }, deadline()));
    return { lease: BigInt(ID), ttlS: Number(TTL) };
  }

  /** @returns seconds that the lease has to live from now on; 0 = there is no such lease */
  keepLeaseAlive(lease: bigint): Promise<number> {
    return this.#call("lease keep-alive", (etcd) => keepAliveOnce(etcd, lease));
  }

  /** All keys under the lease vanish at once. */
  async revokeLease(lease: bigint): Promise<void> {
    await this.#call("lease revoke", (etcd) => etcd.leaseClient.leaseRevoke({ ID: lease.toString() }, deadline(revokeDeadlineMs)));
  }

  /** Follows the changes of a prefix from `fromRevision` on. */
  async watch(prefix: string, fromRevision: bigint, listener: EtcdWatchListener): Promise<EtcdWatchStream> {
    const stream = await this.#call("watch", (etcd) => etcd.watchClient.watch());
    let open = true;
    const end = (reason?: string): void => {
      if (!open) return;
      open = false;
      hangUp(stream);
      if (reason !== undefined) listener.ended(reason);
    };
    stream.on("data", ({ header, events, canceled, compact_revision, cancel_reason }) => {
      if (!open) return;
      if (canceled) return end(`canceled by etcd: ${cancel_reason || `compacted at ${compact_revision}`}`);
      listener.answered(revisionOf(header), events.map(changeOf));
    });
    stream.on("error", (error) => end(error.message));
    stream.on("end", () => end("the stream ended"));
    const start = { start_revision: fromRevision.toString(), progress_notify: true, fragment: true };
    stream.write({ create_request: { ...rangeOf(prefix), ...start } });
    return { requestProgress: () => open && stream.write({ progress_request: {} }), end: () => end() };
  }

  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  async #call<T>(what: string, ask: (etcd: Etcd3) => PromiseLike<T>): Promise<T> {
    const used = this.#current;
    try {
      return await ask(this.#endpoints[used]!);
    } catch (cause) {
      this.#avoid(used);
      const message = `etcd ${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw new AppError(isRefusal(cause) ? "configuration" : "dependency_unreachable", message, { cause });
    }
  }

  /** Moves on to the next endpoint, unless somebody did so already. */
  #avoid(endpoint: number): void {
    if (this.#current === endpoint) this.#current = (endpoint + 1) % this.#endpoints.length;
  }
}

function etcdOptions({ login, tls }: EtcdConfig): Omit<IOptions, "hosts"> {
  return {
    ...(login !== undefined && { auth: login }),
    ...(tls !== undefined && {
      credentials: { rootCertificate: pem(tls.ca), certChain: pem(tls.clientCert), privateKey: pem(tls.clientKey) },
    }),
    // The login is a call of etcd3's own: this is its deadline. Watches have none.
    defaultCallOptions: ({ isStream }) => (isStream ? {} : deadline()),
    faultHandling: { host: () => noop, global: noop },
    grpcOptions: {
      // A server that is frozen or cut off is noticed within 8 s.
      "grpc.keepalive_time_ms": 5000,
      "grpc.keepalive_timeout_ms": 3000,
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 2000,
      "grpc.max_receive_message_length": -1,
    },
  };
}

/** Wrong login, no rights, or no login where one is wanted (of which etcd3 has no class of its own). */
function isRefusal(cause: unknown): boolean {
  if (cause instanceof EtcdAuthenticationFailedError || cause instanceof EtcdPermissionDeniedError) return true;
  return cause instanceof Error && cause.message.includes("etcdserver: user name is empty");
}

/** etcd has no unary keep-alive: a stream for one question and one answer. */
async function keepAliveOnce(etcd: Etcd3, lease: bigint): Promise<number> {
  const stream = await etcd.leaseClient.leaseKeepAlive(deadline());
  try {
    return await new Promise<number>((resolve, reject) => {
      stream.on("data", ({ TTL }) => resolve(Number(TTL)));
      stream.on("error", reject);
      stream.on("end", () => reject(new Error("the stream ended without an answer")));
      stream.write({ ID: lease.toString() });
    });
  } finally {
    hangUp(stream);
  }
}

/**
 * Ends a stream by saying so, and cancels it only when etcd does not end its half.
 *
 * A cancelled stream counts as a failed call to etcd3, which then closes every client of that host; streams that are
 * open go on over the closed connection until its next keepalive, and all break 5 s later.
 */
function hangUp(stream: EtcdStream): void {
  const timer = setTimeout(() => stream.cancel(), callDeadlineMs).unref();
  const ended = (): void => clearTimeout(timer);
  stream.on("end", ended);
  stream.on("error", ended); // also keeps an error after the end from being unhandled
  stream.end();
}

function pem(pathOrText: string): Buffer {
  if (pathOrText.startsWith("-----BEGIN")) return Buffer.from(pathOrText);
  try {
    return readFileSync(pathOrText);
  } catch (cause) {
    throw new AppError("configuration", `the TLS file for etcd ${pathOrText} cannot be read`, { cause });
  }
}

function deadline(ms = callDeadlineMs): { deadline: number } {
  return { deadline: Date.now() + ms };
}

/** [prefix, the same with its last byte raised): all keys that begin with it. Keys are ASCII, so the last byte is never 0xff. */
function rangeOf(prefix: string): { key: Buffer; range_end: Buffer } {
  const key = Buffer.from(prefix);
  const rangeEnd = Buffer.from(prefix);
  rangeEnd[rangeEnd.length - 1]! += 1;
  return { key, range_end: rangeEnd };
}

function revisionOf(header: IResponseHeader): EtcdRevision {
  return { clusterId: header.cluster_id, revision: BigInt(header.revision) };
}

function changeOf({ type, kv }: { type: "Put" | "Delete"; kv: { key: Buffer; value: Buffer } }): EtcdChange {
  const key = kv.key.toString();
  return type === "Delete" ? { kind: "delete", key } : { kind: "put", key, value: kv.value.toString() };
}
