// Stop conditions, sampling and output options: what the client wrote, in the form and key order of the worker's request.
//
//   max_tokens 7, max_completion_tokens 9    stop_conditions.max_tokens 9
//   stop "x"                                 stop_conditions.stop ["x"]
//   ignore_eos true                          no stop strings, no stop ids: neither here nor at the worker
//   logprobs true, top_logprobs 3            output_options.logprobs 3      (chat; true alone: 1)
//   top_k 0                                  -1
//
// Source: Dynamo 1.6.1; evidence: golden wire frontend-to-tokens-worker, frontend chat.*, cmpl.*. Absent values are null, never missing.
import { JsonFloat, type LosslessJson } from "@mm-router/protocol";
import type { ChatMembers } from "./chat-request.ts";
import type { CompletionMembers } from "./completion-request.ts";
import { f32Json } from "./f32.ts";
import { guidedDecoding } from "./guided-decoding.ts";
import type { JsonMap } from "./shape.ts";

/** Members that decide how tokens are chosen and when they end. */
export type SamplingMembers = Omit<Partial<ChatMembers>, "logprobs"> & Omit<Partial<CompletionMembers>, "logprobs" | "prompt">;

/** When a choice ends, as this process watches it. */
export interface StopRules {
  readonly strings: readonly string[];
  readonly includeStop: boolean;
  /** Ids that end a choice and give no text: the model's end of sequence and the client's `stop_token_ids`. */
  readonly tokenIds: ReadonlySet<number>;
  /** No rule holds for the first tokens. */
  readonly minTokens: number;
}

export function stopRules(members: SamplingMembers, eosTokenIds: readonly number[]): StopRules {
  const { min_tokens: minTokens = 0, include_stop_str_in_output: includeStop = false } = members;
  if (members.ignore_eos === true) return { strings: [], includeStop, tokenIds: new Set(), minTokens };
  return {
    strings: stopStrings(members) ?? [],
    includeStop,
    tokenIds: new Set([...eosTokenIds, ...(stopTokenIds(members) ?? [])]),
    minTokens,
  };
}

export function stopConditions(members: SamplingMembers, eosTokenIds: readonly number[]): JsonMap {
  const ignoreEos = members.ignore_eos === true;
  return orNull({
    max_tokens: members.max_completion_tokens ?? members.max_tokens,
    stop: ignoreEos ? undefined : stopStrings(members),
    stop_token_ids: ignoreEos ? undefined : stopTokenIds(members),
    stop_token_ids_visible: undefined,
    stop_token_ids_hidden: ignoreEos ? undefined : [...eosTokenIds],
    min_tokens: members.min_tokens,
    ignore_eos: members.ignore_eos,
    max_thinking_tokens: members.nvext?.max_thinking_tokens,
  });
}

export function samplingOptions(members: SamplingMembers): JsonMap {
  const greedy = members.nvext?.greed_sampling === true;
  return orNull({
    n: members.n,
    best_of: members.best_of,
    presence_penalty: float(members.presence_penalty),
    frequency_penalty: float(members.frequency_penalty),
    repetition_penalty: float(members.repetition_penalty),
    temperature: greedy ? undefined : float(members.temperature),
    top_p: greedy ? undefined : float(members.top_p),
    top_k: members.top_k === 0 ? -1 : members.top_k,
    min_p: float(members.min_p),
    use_beam_search: undefined,
    length_penalty: undefined,
    seed: members.seed,
    include_stop_str_in_output: members.include_stop_str_in_output,
    guided_decoding: guidedDecoding(members),
  });
}

/** @param logprobs alternatives asked of the worker; undefined for none */
export function outputOptions(members: SamplingMembers, logprobs: number | undefined): JsonMap {
  return orNull({
    logprobs,
    prompt_logprobs: members.prompt_logprobs ?? (members.echo === true ? 1 : undefined),
    skip_special_tokens: members.skip_special_tokens,
    formatted_prompt: undefined,
    return_tokens_as_token_ids: members.return_tokens_as_token_ids,
  });
}

/** Known to the engines, not to the request's schema: `extra_args.sampling_options`, or undefined. */
export function extraSamplingOptions(members: SamplingMembers): JsonMap | undefined {
  const names = ["detokenize", "allowed_token_ids", "bad_words_token_ids", "logprob_token_ids"] as const;
  const given = names.filter((name) => members[name] !== undefined);
  return given.length === 0 ? undefined : new Map(given.map((name) => [name, members[name]!]));
}

function stopStrings({ stop }: SamplingMembers): string[] | undefined {
  return typeof stop === "string" ? [stop] : stop;
}

/** Validated as token ids by then. */
function stopTokenIds(members: SamplingMembers): number[] | undefined {
  return members.stop_token_ids as number[] | undefined;
}

function float(value: number | undefined): JsonFloat | undefined {
  return value === undefined ? undefined : new JsonFloat(value, f32Json(value));
}

function orNull(members: Readonly<Record<string, LosslessJson | undefined>>): JsonMap {
  return new Map(Object.entries(members).map(([name, value]) => [name, value ?? null]));
}
