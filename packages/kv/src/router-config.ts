// What upstream's `KvRouterConfig` and the per-request `router_config_override` say about the choice of a worker.
//
// Names and defaults are upstream's (kv.md §8.5: constructor signatures of 0.9.1 … 1.6.1). `overlap_score_weight` is the name up to 1.0
// and an alias of `prefill_load_scale` since: the numbers are the same (run 1.4.2, 1.5.1).
import { AppError } from "@mm-router/protocol";

export interface KvRouterConfig {
  readonly overlap_score_weight?: number | null | undefined;
  readonly overlap_score_credit?: number | undefined;
  readonly overlap_score_credit_decay?: number | undefined;
  readonly prefill_load_scale?: number | undefined;
  readonly decode_active_request_weight?: number | undefined;
  readonly router_temperature?: number | undefined;
  readonly router_track_active_blocks?: boolean | undefined;
  readonly router_track_prefill_tokens?: boolean | undefined;
  readonly router_assume_kv_reuse?: boolean | undefined;
  readonly router_track_output_blocks?: boolean | undefined;
}

export interface RouterConfigOverride {
  readonly overlap_score_weight?: number | null | undefined;
  readonly overlap_score_credit?: number | null | undefined;
  readonly prefill_load_scale?: number | null | undefined;
  readonly router_temperature?: number | null | undefined;
  readonly assume_kv_reuse?: boolean | null | undefined;
  readonly track_prefill_tokens?: boolean | null | undefined;
}

/** The terms of the choice, config and override merged. */
export interface ChoiceTerms {
  readonly prefillLoadScale: number;
  readonly overlapCredit: number;
  readonly overlapCreditDecay: number;
  readonly activeRequestWeight: number;
  /** 0: the cheapest rank; above: ranks are drawn, see worker-selector.ts. */
  readonly temperature: number;
  /** false: decode blocks cost nothing and are not counted. */
  readonly trackActiveBlocks: boolean;
  /** false: tokens to prefill cost nothing, overlap saves decode blocks. */
  readonly trackPrefillTokens: boolean;
  /** false: a request shares no blocks with running ones. */
  readonly assumeKvReuse: boolean;
}

/** @throws AppError `invalid_request` for a weight or temperature that is negative or no finite number */
export function choiceTerms(config: KvRouterConfig, override: RouterConfigOverride = {}): ChoiceTerms {
  const weight = override.overlap_score_weight ?? override.prefill_load_scale ?? config.overlap_score_weight ?? config.prefill_load_scale;
  return {
    prefillLoadScale: checked("prefill_load_scale", weight ?? 1),
    overlapCredit: checked("overlap_score_credit", override.overlap_score_credit ?? config.overlap_score_credit ?? 1),
    overlapCreditDecay: checked("overlap_score_credit_decay", config.overlap_score_credit_decay ?? 0),
    activeRequestWeight: checked("decode_active_request_weight", config.decode_active_request_weight ?? 0),
    temperature: checked("router_temperature", override.router_temperature ?? config.router_temperature ?? 0),
    trackActiveBlocks: config.router_track_active_blocks ?? true,
    trackPrefillTokens: override.track_prefill_tokens ?? config.router_track_prefill_tokens ?? true,
    assumeKvReuse: override.assume_kv_reuse ?? config.router_assume_kv_reuse ?? true,
  };
}

function checked(name: string, value: number): number {
  if (Number.isFinite(value) && value >= 0) return value;
  throw new AppError("invalid_request", `${name} is ${value}; it must be a number from 0 up`);
}
