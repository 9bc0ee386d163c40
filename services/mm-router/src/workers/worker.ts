// A worker as the router sees it: its record in discovery, its card, and the facts of its release.
import {
  type CardEntry,
  detectRelease,
  type Dialect,
  dialectOf,
  type ImageDialect,
  type Instance,
  type InstanceId,
  padModelTypes,
  type WorkerKey,
} from "@mm-router/protocol";

export interface Worker {
  readonly instanceId: InstanceId;
  /** Its name in the index: what its card calls the model. */
  readonly modelName: string;
  readonly dialect: Dialect;
  readonly imageDialect: ImageDialect;
  /** Its data-parallel ranks, ascending. */
  readonly ranks: readonly WorkerKey[];
  /** Its blocks are hashed with the first token of the next one (`enable_eagle`). */
  readonly isEagle: boolean;
  /** Tokens per block of its KV cache. */
  readonly blockSize: number;
  /** Blocks of one rank's cache, and tokens of one batch; undefined when its card does not say. */
  readonly kvBlocks: number | undefined;
  readonly batchTokensMax: number | undefined;
  /** The longest prompt that its engine takes, images expanded; undefined when its card does not say. */
  readonly promptTokensMax: number | undefined;
}

export interface WorkerOptions {
  /** The engines split long prompts over several batches (`enable_chunked_prefill`): a batch is no limit then. */
  readonly chunkedPrefill: boolean;
  /** `model_type` of the model's config.json. */
  readonly modelType: string;
  /** What stands for an image in this worker's events, where the operator knows better than the release. */
  readonly imageDialect?: ImageDialect | undefined;
}

/** More ranks than any engine has; a card that claims more is wrong. */
const ranksMax = 1024;

export function workerOf(instance: Instance, { card }: CardEntry, options: WorkerOptions): Worker {
  const dialect = dialectOf(detectRelease(instance, card));
  const config = card.runtime_config ?? {};
  const firstRank = config.data_parallel_start_rank ?? 0;
  const ranks = Math.min(Math.max(config.data_parallel_size ?? 1, 1), ranksMax);
  const isAggregated = (card.worker_type ?? "aggregated") === "aggregated";
  return {
    instanceId: instance.instanceId,
    modelName: card.display_name,
    dialect,
    imageDialect:
      options.imageDialect ?? (isAggregated && padModelTypes.has(options.modelType) ? dialect.imageDialect : dialect.otherImageDialect),
    ranks: Array.from({ length: ranks }, (_, i) => ({ workerId: instance.instanceId, dpRank: firstRank + i })),
    isEagle: dialect.hashesEagle && config["enable_eagle"] === true,
    blockSize: card.kv_cache_block_size,
    kvBlocks: config.total_kv_blocks ?? undefined,
    batchTokensMax: config.max_num_batched_tokens ?? undefined,
    promptTokensMax: longestPrompt(card, options),
  };
}

/** A prompt leaves room for one token of the answer in the context, and fits into one batch unless prompts are split. */
function longestPrompt({ context_length, runtime_config }: CardEntry["card"], { chunkedPrefill }: WorkerOptions): number | undefined {
  const limits: number[] = [];
  if (context_length) limits.push(context_length - 1); // 0 = not told
  const batch = runtime_config?.max_num_batched_tokens;
  if (batch && !chunkedPrefill) limits.push(batch);
  return limits.length === 0 ? undefined : Math.min(...limits);
}
