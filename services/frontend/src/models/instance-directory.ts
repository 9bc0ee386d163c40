// All instances that stand in etcd, of every namespace: what /health shows.
import { dynAddressOf, type EndpointAddress, instancePrefix, parseInstanceKey, parseJson } from "@mm-router/protocol";
import type { Discovery, Watch } from "@mm-router/runtime";

export interface DirectoryEntry {
  readonly address: EndpointAddress;
  /** The record's members that health shows, as their process wrote them. */
  readonly shown: Readonly<Record<string, unknown>>;
}

const shownMembers = ["component", "endpoint", "namespace", "instance_id", "transport", "device_type", "request_plane_codec"];

export class InstanceDirectory {
  readonly #entries = new Map<string, DirectoryEntry>();
  readonly #watch: Watch;

  constructor(discovery: Pick<Discovery, "watch">) {
    this.#watch = discovery.watch(instancePrefix(), {
      put: (key, value) => this.#put(key, value),
      delete: (key) => this.#entries.delete(key),
    });
  }

  instances(): readonly DirectoryEntry[] {
    return [...this.#entries.values()];
  }

  /** `dyn://…` of all endpoints, sorted. */
  endpoints(): string[] {
    return [...new Set(this.instances().map(({ address }) => dynAddressOf(address)))].toSorted();
  }

  close(): void {
    this.#watch.close();
  }

  #put(key: string, value: string): void {
    const named = parseInstanceKey(key);
    const record = recordOf(value);
    if (named === undefined || record === undefined) return;
    const shown = shownMembers.filter((name) => name in record).map((name) => [name, record[name]]);
    this.#entries.set(key, { address: named.address, shown: Object.fromEntries(shown) });
  }
}

/** A record that nobody can read is nobody's instance. */
function recordOf(value: string): Record<string, unknown> | undefined {
  try {
    const record = parseJson(value);
    return typeof record === "object" && record !== null && !Array.isArray(record) ? record : undefined;
  } catch {
    return undefined;
  }
}
