// The body of a request to a Text worker: the client's own, typed and in a fixed order.
//
//   {"top_k":3,"model":"m","cache_salt":"s","messages":[{"content":"hi","role":"user"}]}
//   → {"messages":[{"role":"user","content":"hi"}],"model":"m","top_k":3}
//
// Nothing is added but `continuous_usage_stats` in stream_options and `detail` of images. Members that only a Tokens worker's
// request has a place for (cache_salt, detokenize, …) are left out.
// Source: Dynamo 1.6.1; evidence: golden wire frontend-to-text-worker, frontend text.*.
import { type LosslessJson, stringifyJsonLossless } from "@mm-router/protocol";
import type { ChatRequest } from "./chat-request.ts";
import type { CompletionRequest } from "./completion-request.ts";
import type { JsonMap } from "./shape.ts";

const openAiMembers = [
  ...["store", "reasoning_effort", "thinking", "metadata", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "max_tokens"],
  ...["max_completion_tokens", "n", "modalities", "prediction", "audio", "presence_penalty", "response_format", "seed", "service_tier"],
  ...[
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "user",
    "web_search_options",
  ],
  ...["suffix", "echo", "best_of", "prompt_cache_key"],
];
const dynamoMembers = [
  ...["ignore_eos", "min_tokens", "top_k", "min_p", "repetition_penalty", "include_stop_str_in_output", "skip_special_tokens"],
  ...["guided_json", "guided_regex", "guided_grammar", "guided_choice", "guided_decoding_backend", "guided_whitespace_pattern"],
  ...[
    "chat_template_args",
    "chat_template_kwargs",
    "add_generation_prompt",
    "continue_final_message",
    "mm_processor_kwargs",
    "media_io_kwargs",
    "nvext",
  ],
];

export function textRequestBody(request: ChatRequest | CompletionRequest): Buffer {
  const { raw, members } = request;
  const body: JsonMap = new Map();
  if (request.kind === "chat") body.set("messages", [...request.members.messages]);
  body.set("model", members.model);
  if (request.kind === "completion") body.set("prompt", raw.get("prompt")!);
  for (const name of [...openAiMembers, ...dynamoMembers]) {
    const value = raw.get(name) ?? null;
    if (value !== null) body.set(name, name === "stream_options" ? completedStreamOptions(value as JsonMap) : value);
  }
  return Buffer.from(stringifyJsonLossless(body));
}

function completedStreamOptions(given: JsonMap): JsonMap {
  const value = (name: string): LosslessJson => given.get(name) ?? false;
  return new Map([
    ["include_usage", value("include_usage")],
    ["continuous_usage_stats", value("continuous_usage_stats")],
  ]);
}
