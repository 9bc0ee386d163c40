// The `response` object of /v1/responses: the request's settings repeated, the output, the count of tokens.
//
//   in_progress ─▶ completed | incomplete (the output limit, a content filter) | failed
//
// Source: Dynamo 1.6.1, NvResponse; evidence: golden frontend resp.*. Members that the client left out have OpenAI's defaults.
import { randomUUID } from "node:crypto";
import type { TokenLogprob } from "../postprocess/logprobs.ts";
import type { AnswerIdentity } from "../postprocess/chunks.ts";
import type { NvextOut } from "../postprocess/nvext-fields.ts";
import type { Usage } from "../postprocess/usage.ts";
import type { JsonMap } from "../preprocess/shape.ts";
import type { ResponsesMembers, ResponsesRequest } from "./responses-request.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export interface ResponseOutcome {
  readonly status: "in_progress" | "completed" | "incomplete" | "failed";
  readonly output: readonly object[];
  readonly usage?: Usage | undefined;
  readonly incompleteReason?: string | undefined;
  readonly error?: { readonly code: string; readonly message: string };
  readonly nvext?: NvextOut | undefined;
}

export function responseObject(
  { members, raw }: ResponsesRequest,
  { id, model, created }: AnswerIdentity,
  outcome: ResponseOutcome,
): object {
  const { status, output, usage, incompleteReason, error, nvext } = outcome;
  return {
    id,
    object: "response",
    created_at: created,
    completed_at: status === "completed" ? Math.floor(Date.now() / 1000) : null,
    status,
    model,
    output,
    usage: usage === undefined ? null : responseUsage(usage),
    error: error ?? null,
    incomplete_details: incompleteReason === undefined ? null : { reason: incompleteReason },
    instructions: members.instructions ?? null,
    max_output_tokens: members.max_output_tokens ?? null,
    temperature: raw.get("temperature") ?? 1,
    top_p: raw.get("top_p") ?? 1,
    top_logprobs: members.top_logprobs ?? 0,
    presence_penalty: 0,
    frequency_penalty: 0,
    text: { format: members.text?.format ?? { type: "text" } },
    tools: (members.tools ?? []).map(strictTool),
    tool_choice: members.tool_choice ?? "auto",
    parallel_tool_calls: members.parallel_tool_calls ?? true,
    reasoning: raw.get("reasoning") ?? null,
    truncation: members.truncation ?? "disabled",
    service_tier: members.service_tier ?? "auto",
    metadata: members.metadata ?? {},
    store: members.store ?? false,
    background: false,
    prompt_cache_key: members.prompt_cache_key ?? null,
    prompt_cache_retention: members.prompt_cache_retention ?? null,
    safety_identifier: members.safety_identifier ?? null,
    max_tool_calls: null,
    previous_response_id: null,
    prompt: null,
    conversation: null,
    billing: null,
    nvext,
  };
}

/** Why an answer is not whole; undefined for one that is. */
export function incompleteReasonOf(finish: string | null | undefined): string | undefined {
  if (finish === "length") return "max_output_tokens";
  return finish === "content_filter" ? finish : undefined;
}

export function messageItem(id: string, status: ItemStatus, parts: readonly object[]): object {
  return { type: "message", id, status, role: "assistant", content: parts };
}

export function textPart(text: string, logprobs: readonly object[]): object {
  return { type: "output_text", text, annotations: [], logprobs };
}

export interface FunctionCall {
  readonly id: string;
  readonly callId: string;
  readonly name: string;
}

export function functionCallItem({ id, callId, name }: FunctionCall, status: ItemStatus, written: string): object {
  return { type: "function_call", id, call_id: callId, name, arguments: written, status };
}

/** Thoughts as they are, not a summary of them. */
export function reasoningItem(id: string, status: ItemStatus, parts: readonly object[]): object {
  return { type: "reasoning", id, status, summary: [], content: parts };
}

export function reasoningPart(text: string): object {
  return { type: "reasoning_text", text };
}

export function itemId(kind: "msg" | "fc" | "rs"): string {
  return `${kind}_${randomUUID().replaceAll("-", "")}`;
}

/** Whether the client asked for log probabilities; else they stay out of the output. */
export function showsLogprobs({ include = [] }: Pick<ResponsesMembers, "include">): boolean {
  return include.includes("message.output_text.logprobs");
}

/** Log probabilities in this API's form. */
export function outputLogprobs(entries: readonly TokenLogprob[] = []): object[] {
  return entries.map(({ token, logprob, bytes, top_logprobs }) => ({ token, logprob, bytes, top_logprobs }));
}

function responseUsage(usage: Usage): object {
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: { cached_tokens: usage.prompt_tokens_details?.["cached_tokens"] ?? 0 },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0 },
    total_tokens: usage.total_tokens,
  };
}

/** Clients' schemas want `strict` to be there. */
function strictTool(tool: JsonMap): JsonMap {
  return tool.get("type") === "function" ? new Map(tool).set("strict", tool.get("strict") ?? true) : tool;
}
