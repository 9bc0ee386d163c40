// What other routers have running on the same ranks, as they tell it: counted like our own, so that replicas do not send to one rank what
// each of them believes to be idle.
//
//   { request_id, worker, router_id, data }     AddRequest ──► counted ── MarkPrefillCompleted ──► its prefill tokens leave ── Free ──► gone
//
// Source: kv.md §9.2; messages of real routers of 0.9.1 … 1.6.1: kv/load-and-sync.json.
// I1  A request counts once, whatever is told twice; what is told of an unknown one does nothing.
// I2  Requests of others find no room beyond `requestsMax` in all; nobody's `Free` is waited for longer than for our own (expiry).
import type { ActiveSequenceEvent, AddRequest, InstanceId } from "@mm-router/protocol";
import type { ActiveSequences, SequenceId } from "./active-sequences.ts";

export interface ReplicaLoadOptions {
  readonly blockSize: number;
  /** ms; never goes back. */
  readonly now: () => number;
  readonly requestsMax?: number;
}

/** `unknown`: of a request that is not held, e.g. because it began before this router did. */
export type ReplicaOutcome = "applied" | "repeated" | "unknown" | "too_many";

const requestsMaxDefault = 65_536;

export class ReplicaLoad {
  private readonly active: ActiveSequences;
  private readonly options: ReplicaLoadOptions;

  constructor(active: ActiveSequences, options: ReplicaLoadOptions) {
    this.active = active;
    this.options = options;
  }

  apply({ request_id, worker, data, router_id }: ActiveSequenceEvent): ReplicaOutcome {
    const id = `${prefixOf(router_id)}${request_id}`;
    if (typeof data !== "string") return this.add(id, worker, data.AddRequest);
    if (!this.active.has(id)) return "unknown";
    if (data === "Free") this.active.free(id);
    else this.active.markPrefillCompleted(id);
    return "applied";
  }

  /** A router is gone: nobody will tell the end of what it had running. */
  forget(routerId: InstanceId): void {
    const prefix = prefixOf(routerId);
    this.active.freeThose((id) => typeof id === "string" && id.startsWith(prefix));
  }

  /** Messages may be missing: what was told before is not known any more. */
  forgetAll(): void {
    this.active.freeThose(isOfOthers);
  }

  private add(id: string, worker: ActiveSequenceEvent["worker"], request: AddRequest): ReplicaOutcome {
    const { now, requestsMax = requestsMaxDefault } = this.options;
    if (this.active.has(id)) return "repeated";
    if (this.active.size >= requestsMax) return "too_many";
    const hashes = BigUint64Array.from(request.token_sequence ?? []);
    this.active.add(id, worker, hashes, prefillTokensOf(request, this.options.blockSize), now());
    return "applied";
  }
}

const isOfOthers = (id: SequenceId): boolean => typeof id === "string";
const prefixOf = (routerId: InstanceId): string => `${routerId}/`;

function prefillTokensOf(request: AddRequest, blockSize: number): number {
  if ("isl" in request) return Math.max(0, Number(request.isl) - Number(request.overlap) * blockSize);
  const { track_prefill_tokens, prefill_load_hint } = request;
  return track_prefill_tokens ? Number(prefill_load_hint?.initial_effective_prefill_tokens ?? 0) : 0;
}
