// Which workers are too busy for another request, by the thresholds of their model.
//
//   blocks in use > active_decode_blocks_threshold × the worker's blocks
//   prefill tokens > active_prefill_tokens_threshold, or > …_frac × the worker's largest batch
//
// A worker is busy when all its ranks are. Unset thresholds hold nobody back.
// Source: Dynamo 1.6.1, seen running; evidence: golden frontend busy.*, lifecycle (busy).
import type { ActiveLoad, InstanceId, ModelCard } from "@mm-router/protocol";
import type { WorkerLoads } from "./worker-loads.ts";

export interface BusyThresholds {
  /** Fraction, 0 … 1. */
  readonly decodeBlocks: number | undefined;
  readonly prefillTokens: number | undefined;
  /** Of `max_num_batched_tokens`. */
  readonly prefillTokensFrac: number | undefined;
}

export class BusyWorkers {
  readonly #defaults: BusyThresholds;
  readonly #loads: Pick<WorkerLoads, "listen" | "of">;
  readonly #byModel = new Map<string, BusyThresholds>();

  constructor(defaults: BusyThresholds, loads: Pick<WorkerLoads, "listen" | "of">) {
    this.#defaults = defaults;
    this.#loads = loads;
    if (isSet(defaults)) loads.listen();
  }

  thresholdsOf(model: string): BusyThresholds {
    return this.#byModel.get(model) ?? this.#defaults;
  }

  /** Members that are undefined stay as they are. */
  set(model: string, changes: BusyThresholds): BusyThresholds {
    const before = this.thresholdsOf(model);
    const now = {
      decodeBlocks: changes.decodeBlocks ?? before.decodeBlocks,
      prefillTokens: changes.prefillTokens ?? before.prefillTokens,
      prefillTokensFrac: changes.prefillTokensFrac ?? before.prefillTokensFrac,
    };
    this.#byModel.set(model, now);
    this.#loads.listen();
    return now;
  }

  isBusy(id: InstanceId, model: string, card: ModelCard): boolean {
    const thresholds = this.thresholdsOf(model);
    const ranks = isSet(thresholds) ? this.#loads.of(id) : undefined;
    if (ranks === undefined || ranks.size < (card.runtime_config?.data_parallel_size ?? 1)) return false;
    return [...ranks.values()].every((load) => isOver(load, thresholds, card));
  }
}

function isSet({ decodeBlocks, prefillTokens, prefillTokensFrac }: BusyThresholds): boolean {
  return decodeBlocks !== undefined || prefillTokens !== undefined || prefillTokensFrac !== undefined;
}

function isOver(load: ActiveLoad, thresholds: BusyThresholds, { runtime_config: config }: ModelCard): boolean {
  const { decodeBlocks, prefillTokens, prefillTokensFrac } = thresholds;
  const blocks = Number(load.kv_used_blocks ?? load.active_decode_blocks ?? 0n);
  const tokens = Number(load.active_prefill_tokens ?? 0n);
  const total = config?.total_kv_blocks ?? undefined;
  const batch = config?.max_num_batched_tokens ?? undefined;
  return (
    (decodeBlocks !== undefined && total !== undefined && blocks > decodeBlocks * total) ||
    (prefillTokens !== undefined && tokens > prefillTokens) ||
    (prefillTokensFrac !== undefined && batch !== undefined && tokens > prefillTokensFrac * batch)
  );
}
