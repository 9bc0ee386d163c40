// What an answer of /v1/messages is made of: content blocks, the reason why it ended, the count of tokens, errors.
//
// Source: Dynamo 1.6.1 (protocols/anthropic); evidence: golden frontend anth.*.
import { randomUUID } from "node:crypto";
import { type LosslessJson, parseJsonLossless } from "@mm-router/protocol";
import type { AnswerIdentity } from "../postprocess/chunks.ts";
import type { Usage } from "../postprocess/usage.ts";

export interface StopNote {
  readonly stop_reason: string | null;
  readonly stop_sequence: string | null;
}

/** @param stop the stop string that ended the answer, when one did */
export function stopNote(finish: string | null | undefined, stop: unknown): StopNote {
  if (finish === "length") return { stop_reason: "max_tokens", stop_sequence: null };
  if (finish === "tool_calls") return { stop_reason: "tool_use", stop_sequence: null };
  if (finish === "content_filter") return { stop_reason: "refusal", stop_sequence: null };
  const isSequence = finish === "stop" && typeof stop === "string";
  return isSequence ? { stop_reason: "stop_sequence", stop_sequence: stop } : { stop_reason: "end_turn", stop_sequence: null };
}

export function messageObject({ id, model }: AnswerIdentity, content: readonly object[], stop: StopNote, usage: object): object {
  return { id, type: "message", role: "assistant", content, model, ...stop, usage };
}

/** Tokens that the worker had in its cache count beside the input, as Anthropic counts them. */
export function messageUsage({ prompt_tokens: prompt, completion_tokens: output, prompt_tokens_details: details }: Usage): object {
  const cached = details?.["cached_tokens"] ?? 0;
  return {
    input_tokens: prompt - cached,
    output_tokens: output,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached > 0 ? cached : undefined,
  };
}

export function textBlock(text: string): object {
  return { type: "text", text };
}

/** Nobody signs thoughts here; clients send the member back. */
export function thinkingBlock(thinking: string): object {
  return { type: "thinking", thinking, signature: "" };
}

export function toolUseBlock(id: string, name: string, input: LosslessJson): object {
  return { type: "tool_use", id, name, input };
}

/** A call's own id where it means something to the model's template; else one of this API's form. */
export function toolUseId(callId: string): string {
  return callId === "" || callId.startsWith("call-") ? `toolu_${randomUUID().replaceAll("-", "")}` : callId;
}

/** Arguments that were cut are no JSON: then none are told. */
export function toolInput(written: string): LosslessJson {
  try {
    return parseJsonLossless(written);
  } catch {
    return new Map();
  }
}

const errorTypes: Readonly<Record<number, string>> = {
  404: "not_found_error",
  413: "request_too_large",
  503: "overloaded_error",
  529: "overloaded_error",
};

export function anthropicError({ status, message }: { readonly status: number; readonly message: string }): object {
  const type = errorTypes[status] ?? (status < 500 || status === 501 ? "invalid_request_error" : "api_error");
  return { type: "error", error: { type, message } };
}
