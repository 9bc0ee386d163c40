// Members that chat and completion requests share, and how a body is taken apart.
import type { LosslessJson } from "@mm-router/protocol";
import {
  anything,
  type Decoder,
  decodeShape,
  either,
  f32,
  i32,
  i64,
  type JsonMap,
  list,
  map,
  struct,
  type StructOptions,
  text,
  u8,
  u32,
  yesNo,
} from "./shape.ts";

export const streamOptions = struct("ChatCompletionStreamOptions", {}, { include_usage: yesNo, continuous_usage_stats: yesNo });

export const commonMembers = {
  stream: yesNo,
  stream_options: streamOptions,
  n: u8,
  stop: either<string | string[]>("untagged enum Stop", text, list(text)),
  max_tokens: u32,
  min_tokens: u32,
  temperature: f32,
  top_p: f32,
  top_k: i32,
  min_p: f32,
  seed: i64,
  frequency_penalty: f32,
  presence_penalty: f32,
  repetition_penalty: f32,
  ignore_eos: yesNo,
  include_stop_str_in_output: yesNo,
  skip_special_tokens: yesNo,
  logit_bias: map,
  user: text,
  guided_json: anything,
  guided_regex: text,
  guided_grammar: text,
  guided_choice: list(text),
  guided_decoding_backend: text,
  guided_whitespace_pattern: text,
};

/** Known members whose type is a rule of its own, told after the unknown ones (validation.ts). */
export const passThroughMembers = {
  cache_salt: anything,
  detokenize: anything,
  stop_token_ids: anything,
  allowed_token_ids: anything,
  bad_words_token_ids: anything,
  logprob_token_ids: anything,
  prompt_logprobs: anything,
  return_tokens_as_token_ids: anything,
};

export interface ParsedBody<M> {
  /** Typed members; what was absent or null is absent. */
  readonly members: M;
  /** Names of members that no request has, in the client's order. */
  readonly unknown: readonly string[];
  /** The body as it came, for what is passed on untouched. */
  readonly raw: JsonMap;
}

/** @throws AppError `invalid_request` for another shape */
export function parseBody<M>(shape: (options: StructOptions) => Decoder<M>, body: LosslessJson): ParsedBody<M> {
  const unknown: string[] = [];
  const members = decodeShape(shape({ unknown: (name) => unknown.push(name) }), body);
  return { members, unknown, raw: body as JsonMap };
}
