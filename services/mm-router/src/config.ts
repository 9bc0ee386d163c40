// Settings of mm-router. Flags and defaults are those of upstream's `python -m examples.backends.trtllm.mm_router_worker`;
// what it has no flag for has upstream's router names (DYN_ROUTER_…), the worker's names (DYN_MM_…) or ours (MMR_…).
import type { KvRouterConfig } from "@mm-router/kv";
import { indexField, kvIndexerFields } from "@mm-router/kv-indexer";
import type { EndpointAddress } from "@mm-router/protocol";
import { type ConfigOf, decimal, field, integer, modelFields, runtimeFields, yesNo } from "@mm-router/runtime";
import { z } from "zod";
import type { BusyThresholds } from "./routing/busy-thresholds.ts";
import type { OverlapSourceOptions } from "./routing/overlap-source.ts";
import { imageFields } from "./image-settings.ts";
import { defaultDownstreamComponent } from "./workers/downstream-address.ts";

const name = z.string().regex(/^[a-z0-9\-_.]+$/, "only a-z, 0-9, - and _ are allowed");

export const routerFields = {
  ...runtimeFields,
  ...modelFields,
  ...imageFields,
  ...kvIndexerFields,

  model: field(z.string().default("Qwen/Qwen2-VL-2B-Instruct"), {
    flag: "model",
    env: "MODEL",
    help: "model folder or Hugging Face id; also the public model name",
  }),
  modelType: field(z.string().default("qwen2_vl"), {
    flag: "model-type",
    env: "MODEL_TYPE",
    help: "kept for upstream's scripts: the model's config.json decides, and a difference is said",
  }),
  servedModelName: field(z.string().optional(), {
    flag: "served-model-name",
    env: "MMR_SERVED_MODEL_NAME",
    help: "public model name (default: --model)",
  }),
  blockSize: field(integer(1, 65_536).default(32), {
    flag: "block-size",
    env: "BLOCK_SIZE",
    unit: "tokens",
    help: "KV block size; must equal the workers'",
  }),
  namespace: field(name.default("default"), {
    flag: "namespace",
    env: ["NAMESPACE", "DYN_NAMESPACE"],
    help: "Dynamo namespace of both legs",
  }),
  component: field(name.default("mm_router"), { flag: "component", help: "own component" }),
  endpoint: field(name.default("generate"), { flag: "endpoint", help: "own endpoint" }),
  downstreamComponent: field(name.default(defaultDownstreamComponent), {
    flag: "downstream-component",
    help: "the workers' component; while nobody is under the default, the one component that serves this model is taken",
  }),
  downstreamEndpoint: field(name.default("generate"), { flag: "downstream-endpoint", help: "the workers' endpoint" }),

  overlapScoreCredit: field(decimal(0).default(1), {
    flag: ["router-kv-overlap-score-credit", "kv-overlap-score-credit"],
    env: "DYN_ROUTER_KV_OVERLAP_SCORE_CREDIT",
    help: "what a cached block is worth, in blocks",
  }),
  prefillLoadScale: field(decimal(0).default(1), {
    flag: ["router-prefill-load-scale", "router-kv-overlap-score-weight", "kv-overlap-score-weight"],
    env: ["DYN_ROUTER_PREFILL_LOAD_SCALE", "DYN_ROUTER_KV_OVERLAP_SCORE_WEIGHT"],
    help: "weight of tokens to prefill against blocks in use",
  }),
  temperature: field(decimal(0).default(0), {
    flag: "router-temperature",
    env: "DYN_ROUTER_TEMPERATURE",
    help: "0: always the cheapest worker; above: drawn by cost",
  }),
  overlapScoreCreditDecay: field(decimal(0).default(0), {
    flag: "router-kv-overlap-score-credit-decay",
    env: "DYN_ROUTER_KV_OVERLAP_SCORE_CREDIT_DECAY",
    help: "how fast cached blocks lose their worth on a worker that has more to prefill than others",
  }),
  activeRequestWeight: field(decimal(0).default(0), {
    flag: "router-decode-active-request-weight",
    env: "DYN_ROUTER_DECODE_ACTIVE_REQUEST_WEIGHT",
    help: "what a running request costs, in blocks, besides those it uses",
  }),
  trackActiveBlocks: field(yesNo.default(true), {
    flag: "router-track-active-blocks",
    env: "DYN_ROUTER_TRACK_ACTIVE_BLOCKS",
    help: "blocks of running requests count as load",
  }),
  trackOutputBlocks: field(yesNo.default(false), {
    flag: ["router-track-output-blocks", "track-output-blocks"],
    env: "DYN_ROUTER_TRACK_OUTPUT_BLOCKS",
    help: "blocks of answers count as load, too, and a request's own blocks less towards its expected end",
  }),
  busyDecodeBlocksShare: field(decimal(0, 1).optional(), {
    flag: "active-decode-blocks-threshold",
    env: "DYN_ACTIVE_DECODE_BLOCKS_THRESHOLD",
    help: "share of an engine's blocks in use above which a worker gets nothing more (default: no such limit)",
  }),
  busyPrefillTokens: field(integer(0).optional(), {
    flag: "active-prefill-tokens-threshold",
    env: "DYN_ACTIVE_PREFILL_TOKENS_THRESHOLD",
    unit: "tokens",
    help: "tokens to prefill above which a worker gets nothing more (default: no such limit)",
  }),
  busyPrefillShare: field(decimal(0).optional(), {
    flag: "active-prefill-tokens-threshold-frac",
    env: "DYN_ACTIVE_PREFILL_TOKENS_THRESHOLD_FRAC",
    help: "the same as a share of the engine's max_num_batched_tokens",
  }),
  queueThreshold: field(decimal(0).optional(), {
    flag: "router-queue-threshold",
    env: "DYN_ROUTER_QUEUE_THRESHOLD",
    help: "share of max_num_batched_tokens; while every worker has more to prefill, requests wait (default: they never do)",
  }),
  trackPrefillTokens: field(yesNo.default(true), {
    flag: "router-track-prefill-tokens",
    env: "DYN_ROUTER_TRACK_PREFILL_TOKENS",
    help: "tokens to prefill count as load",
  }),
  assumeKvReuse: field(yesNo.default(true), {
    flag: "router-assume-kv-reuse",
    env: "DYN_ROUTER_ASSUME_KV_REUSE",
    help: "running requests with the same prefix use the same blocks",
  }),
  useKvEvents: field(yesNo.default(true), {
    flag: ["router-kv-events", "kv-events"],
    env: "DYN_ROUTER_USE_KV_EVENTS",
    help: "ask the index what workers hold; without it the router believes what it sent them",
  }),
  ttlS: field(decimal(0).default(120), {
    flag: ["router-ttl-secs", "router-ttl"],
    env: "DYN_ROUTER_TTL_SECS",
    unit: "seconds",
    help: "how long what was sent is believed to be held, without events or while no index answers",
  }),
  predictedTtlS: field(decimal(0).optional(), {
    flag: "router-predicted-ttl-secs",
    env: "DYN_ROUTER_PREDICTED_TTL_SECS",
    unit: "seconds",
    help: "how long what was sent counts beside the index's answer, until the first event comes (default: not at all)",
  }),
  maxTreeSize: field(integer(1).default(2 ** 20), {
    flag: "router-max-tree-size",
    env: "DYN_ROUTER_MAX_TREE_SIZE",
    unit: "blocks per rank, summed",
    help: "most blocks believed so; above it the oldest are forgotten",
  }),
  pruneTargetRatio: field(decimal(0, 1).default(0.8), {
    flag: "router-prune-target-ratio",
    env: "DYN_ROUTER_PRUNE_TARGET_RATIO",
    help: "share of them that is left then",
  }),
  replicaSync: field(yesNo.default(false), {
    flag: "router-replica-sync",
    env: "DYN_ROUTER_REPLICA_SYNC",
    help: "tell other routers of these workers what runs, and count what they have running; ours and real ones, told on --event-plane, heard on either",
  }),
  activeRequestExpiryS: field(decimal(1).default(300), {
    flag: "router-active-request-expiry-secs",
    env: "DYN_ROUTER_ACTIVE_REQUEST_EXPIRY_SECS",
    unit: "seconds",
    help: "how long a request counts as load that nobody ends",
  }),
  decisionsKept: field(integer(0, 100_000).default(1_000), {
    flag: "decisions-kept",
    env: "MMR_DECISIONS_KEPT",
    unit: "requests",
    help: "how many of the last routing decisions are remembered for who asks by request id; no prompt, URL or answer is (0: none)",
  }),
  index: indexField,
  indexDeadlineMs: field(integer(1).default(100), {
    flag: "index-deadline-ms",
    env: "MMR_INDEX_DEADLINE_MS",
    unit: "milliseconds",
    help: "how long the index may take; later the request is routed by load",
  }),
  indexFailuresMax: field(integer(1).default(3), {
    env: "MMR_INDEX_FAILURES_MAX",
    help: "failures of the index in a row after which it is left alone for a while",
  }),
  indexRestMs: field(integer(0).default(1_000), { env: "MMR_INDEX_REST_MS", unit: "milliseconds", help: "how long it is left alone" }),
  imageCheck: field(yesNo.default(true), {
    flag: "image-check",
    env: "MMR_IMAGE_CHECK",
    help: "compare the blocks that workers publish for images with those predicted, and do not believe a worker that differs; needs an index",
  }),
  imageCheckIntervalS: field(decimal(0).default(10), {
    env: "MMR_IMAGE_CHECK_INTERVAL_SECS",
    unit: "seconds",
    help: "how often a worker is checked whose blocks are as predicted",
  }),
  chunkedPrefill: field(yesNo.default(false), {
    flag: "chunked-prefill",
    env: "MMR_CHUNKED_PREFILL",
    help: "the workers' engines split long prompts (enable_chunked_prefill): max_num_tokens is no limit then",
  }),
};

export type RouterConfig = ConfigOf<typeof routerFields>;

export function ownAddress({ namespace, component, endpoint }: RouterConfig): EndpointAddress {
  return { namespace, component, endpoint };
}

export function downstreamAddressOf(config: RouterConfig): EndpointAddress {
  return { namespace: config.namespace, component: config.downstreamComponent, endpoint: config.downstreamEndpoint };
}

export function busyThresholds(config: RouterConfig): BusyThresholds {
  return {
    decodeBlocksShare: config.busyDecodeBlocksShare,
    prefillTokens: config.busyPrefillTokens,
    prefillShare: config.busyPrefillShare,
  };
}

export function overlapOptions(config: RouterConfig): OverlapSourceOptions {
  return {
    useKvEvents: config.useKvEvents,
    ttlMs: config.ttlS * 1000,
    predictedTtlMs: config.predictedTtlS === undefined ? undefined : config.predictedTtlS * 1000,
    entriesMax: config.maxTreeSize,
    pruneTarget: config.pruneTargetRatio,
  };
}

export function schedulerConfig(config: RouterConfig): KvRouterConfig {
  return {
    overlap_score_credit: config.overlapScoreCredit,
    prefill_load_scale: config.prefillLoadScale,
    router_temperature: config.temperature,
    overlap_score_credit_decay: config.overlapScoreCreditDecay,
    decode_active_request_weight: config.activeRequestWeight,
    router_track_active_blocks: config.trackActiveBlocks,
    router_track_prefill_tokens: config.trackPrefillTokens,
    router_assume_kv_reuse: config.assumeKvReuse,
    router_track_output_blocks: config.trackOutputBlocks,
  };
}
