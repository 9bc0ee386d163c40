// One step of a Tokens worker: the new tokens of one choice.
//
//   {"token_ids":[9707],"index":0}
//   {"token_ids":[],"finish_reason":"stop","index":0,"completion_usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9}}
//
// Source: worker answers of all releases (golden/worker/direct-*.json). Only `token_ids` is required.
// I1  The check is by hand and touches no token: this runs once per generated token.
import { AppError } from "../errors.ts";
import { decodeFinishReason, type FinishReason } from "./finish-reason.ts";

export interface CompletionUsage {
  /** Before image expansion. */
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number | null } | null;
  readonly [member: string]: unknown;
}

export interface TopLogprob {
  readonly rank: number;
  readonly token_id: number;
  readonly token?: string | null;
  readonly logprob: number;
}

export interface EngineOutput {
  /** New tokens only; a stop token is not among them. */
  readonly token_ids: readonly number[];
  readonly tokens?: readonly (string | null)[] | null;
  readonly text?: string | null;
  readonly cum_log_probs?: number | null;
  /** One per new token. */
  readonly log_probs?: readonly number[] | null;
  readonly top_logprobs?: readonly (readonly TopLogprob[])[] | null;
  readonly finish_reason?: FinishReason | null;
  readonly stop_reason?: unknown;
  /** The choice; 1.0 and older leave it out. */
  readonly index?: number | null;
  readonly completion_usage?: CompletionUsage | null;
  /** Of a prefill worker; opaque, u64 ids inside. */
  readonly disaggregated_params?: unknown;
  readonly [member: string]: unknown;
}

/** @throws AppError `protocol_error` when the value is no step or its finish reason is unknown */
export function decodeEngineOutput(value: unknown): EngineOutput {
  const output = value as EngineOutput | null;
  if (typeof output !== "object" || output === null || !Array.isArray(output.token_ids)) {
    throw new AppError("protocol_error", "the worker's item has no token_ids");
  }
  if (output.finish_reason !== undefined && output.finish_reason !== null) decodeFinishReason(output.finish_reason);
  return output;
}
