// `nvext` of an answer: what the client asked for in `nvext.extra_fields`, on each chunk and merged in a unary answer.
//
//   worker_id             {"prefill_worker_id", "decode_worker_id"}: one aggregated worker, the same twice
//   completion_token_ids  ids of the chunk
//   stop_reason           the stop string or id, with the chunk that it ended
//   engine_data           as the worker sent it
//   timing                with the finish reason
//
// Source: Dynamo 1.6.1; evidence: golden frontend nv.extra*. Unknown names are ignored.
import type { InstanceId } from "@mm-router/protocol";
import type { ChoiceDelta } from "./choice-stream.ts";

export type NvextOut = Readonly<Record<string, unknown>>;

/** Times of a request, milliseconds of the wall clock or since the request came. */
export interface Timing {
  readonly receivedAtMs: number;
  /** Since `receivedAtMs`. */
  elapsedMs(): number;
}

export class NvextFields {
  readonly #wanted: ReadonlySet<string>;
  readonly #timing: Timing;
  #firstTokenMs: number | undefined;
  /** Known when a worker has taken the request. */
  instanceId: InstanceId | undefined;

  constructor(extraFields: readonly string[], timing: Timing) {
    this.#wanted = new Set(extraFields);
    this.#timing = timing;
  }

  /** @returns undefined when nothing was asked for, or nothing of it is known yet */
  of(delta: ChoiceDelta): NvextOut | undefined {
    if (this.#wanted.size === 0) return undefined;
    this.#firstTokenMs ??= this.#timing.elapsedMs();
    const id = this.instanceId;
    const fields: Record<string, unknown> = {
      worker_id: id === undefined ? undefined : { prefill_worker_id: id, decode_worker_id: id },
      timing: delta.finishReason === undefined ? undefined : this.#times(),
      completion_token_ids: delta.tokenIds.length === 0 ? undefined : delta.tokenIds,
      stop_reason: delta.stopReason,
      engine_data: delta.output["engine_data"] ?? undefined,
    };
    const known = Object.entries(fields).filter(([name, value]) => value !== undefined && this.#wanted.has(name));
    return known.length === 0 ? undefined : Object.fromEntries(known);
  }

  /** One dispatch, one worker: there is no wait between prefill and decode to tell. */
  #times(): NvextOut {
    const first = this.#firstTokenMs!;
    return {
      request_received_ms: this.#timing.receivedAtMs,
      prefill_wait_time_ms: 0,
      prefill_time_ms: first,
      ttft_ms: first,
      total_time_ms: this.#timing.elapsedMs(),
    };
  }
}

/** Token ids are joined, of the rest the latest counts. */
export function mergedNvext(before: NvextOut | undefined, now: NvextOut | undefined): NvextOut | undefined {
  if (before === undefined || now === undefined) return before ?? now;
  const ids = [...((before["completion_token_ids"] as number[]) ?? []), ...((now["completion_token_ids"] as number[]) ?? [])];
  return { ...before, ...now, ...(ids.length > 0 && { completion_token_ids: ids }) };
}
