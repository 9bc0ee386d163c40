// A chat request as the client sent it, typed: which members exist, and their shapes.
//
// What the values may be is validation.ts; what becomes of them is the preprocessor's.
// Source: Dynamo 1.6.1, NvCreateChatCompletionRequest; evidence: golden frontend req.*, raw.*, val.*, val2.*.
import type { LosslessJson } from "@mm-router/protocol";
import { message } from "./message-shape.ts";
import { nvext } from "./nvext.ts";
import { commonMembers, type ParsedBody, parseBody, passThroughMembers, streamOptions } from "./request-members.ts";
import { anything, either, list, map, oneOf, struct, type StructOf, tagged, text, u8, u32, yesNo } from "./shape.ts";

const jsonSchema = struct("JsonSchema", { name: text, schema: anything }, { description: text, strict: yesNo });
type ResponseFormat = { readonly type: string } | { readonly type: string; readonly json_schema: ReturnType<typeof jsonSchema> };
const responseFormat = tagged<ResponseFormat>("type", {
  text: struct("ResponseFormat", { type: text }, {}),
  json_object: struct("ResponseFormat", { type: text }, {}),
  json_schema: struct("ResponseFormat", { type: text, json_schema: jsonSchema }, {}),
});

const functionObject = struct("FunctionObject", { name: text }, { description: text, parameters: anything, strict: yesNo });
const tool = struct("ChatCompletionTool", { type: oneOf("function"), function: functionObject }, {});
const namedChoice = struct(
  "ChatCompletionNamedToolChoice",
  { type: oneOf("function"), function: struct("FunctionName", { name: text }, {}) },
  {},
);
const toolChoice = either<"none" | "auto" | "required" | ReturnType<typeof namedChoice>>(
  "untagged enum ChatCompletionToolChoiceOption",
  oneOf("none", "auto", "required"),
  namedChoice,
);

const required = { model: text, messages: list(message) };

const optional = {
  ...commonMembers,
  ...passThroughMembers,
  stream_options: streamOptions,
  top_logprobs: u8,
  logprobs: yesNo,
  max_completion_tokens: u32,
  tools: list(tool),
  tool_choice: toolChoice,
  response_format: responseFormat,
  reasoning_effort: oneOf("none", "minimal", "low", "medium", "high", "xhigh", "max"),
  thinking: anything,
  chat_template_args: map,
  add_generation_prompt: yesNo,
  continue_final_message: yesNo,
  mm_processor_kwargs: anything,
  media_io_kwargs: anything,
  function_call: anything,
  functions: anything,
  parallel_tool_calls: yesNo,
  modalities: list(oneOf("text", "audio")),
  audio: map,
  prediction: map,
  web_search_options: map,
  store: yesNo,
  service_tier: oneOf("auto", "default", "flex", "scale", "priority", "fast"),
  metadata: anything,
  prompt_cache_key: text,
  nvext,
};

export type ChatMembers = StructOf<typeof required, typeof optional>;
export type ChatTool = NonNullable<ChatMembers["tools"]>[number];

export interface ChatRequest extends ParsedBody<ChatMembers> {
  readonly kind: "chat";
}

/** @throws AppError `invalid_request` for another shape */
export function parseChatRequest(body: LosslessJson): ChatRequest {
  const aliases = { chat_template_kwargs: "chat_template_args" };
  return {
    kind: "chat",
    ...parseBody((options) => struct("NvCreateChatCompletionRequest", required, optional, { ...options, aliases }), body),
  };
}
