// A /v1/messages request as the client sent it, typed. Unknown members are ignored, as Anthropic's own SDKs expect of an older server.
//
// Source: Dynamo 1.6.1, AnthropicCreateMessageRequest; evidence: golden frontend anth.*.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import { decodeShape, either, f32, type JsonMap, list, map, oneOf, struct, type StructOf, text, u32, yesNo } from "../preprocess/shape.ts";

const content = either<string | JsonMap[]>("untagged enum AnthropicMessageContent", text, list(map));
const message = struct("AnthropicMessage", { role: oneOf("user", "assistant"), content }, {});
const tool = struct("AnthropicTool", { name: text }, { type: text, description: text, input_schema: map });
const toolChoice = struct(
  "AnthropicToolChoice",
  { type: oneOf("auto", "any", "none", "tool") },
  { name: text, disable_parallel_tool_use: yesNo },
);
const system = either<string | JsonMap[]>("untagged enum SystemPrompt", text, list(map));
const thinking = struct("ThinkingConfig", { type: text }, { budget_tokens: u32 });
const outputConfig = struct("OutputConfig", {}, { effort: text, format: map });

const required = { model: text, messages: list(message) };
const optional = {
  system,
  temperature: f32,
  top_p: f32,
  top_k: u32,
  stop_sequences: list(text),
  stream: yesNo,
  tools: list(tool),
  tool_choice: toolChoice,
  thinking,
  output_config: outputConfig,
  nvext: map,
};

const counted = struct("AnthropicCountTokensRequest", required, optional);
const created = struct("AnthropicCreateMessageRequest", { ...required, max_tokens: u32 }, optional);

/** Members that decide the prompt. */
export type PromptMembers = StructOf<typeof required, typeof optional>;
export type MessagesMembers = ReturnType<typeof created>;
export type AnthropicMessage = PromptMembers["messages"][number];
export type AnthropicTool = NonNullable<PromptMembers["tools"]>[number];

export interface MessagesRequest {
  readonly members: MessagesMembers;
  /** The body as it came: numbers as they were written. */
  readonly raw: JsonMap;
}

/** @throws AppError `invalid_request` */
export function parseMessagesRequest(body: LosslessJson): MessagesRequest {
  const members = decodeShape(created, body);
  checkMessages(members);
  if (members.max_tokens === 0) throw new AppError("invalid_request", "max_tokens: must be greater than 0");
  return { members, raw: body as JsonMap };
}

/** @throws AppError `invalid_request` */
export function parseCountRequest(body: LosslessJson): PromptMembers {
  const members = decodeShape(counted, body);
  checkMessages(members);
  return members;
}

function checkMessages({ messages, tools = [] }: PromptMembers): void {
  if (messages.length === 0) throw new AppError("invalid_request", "messages: field required");
  for (const [index, { content: blocks }] of messages.entries()) {
    if (blocks.length === 0 && typeof blocks !== "string") {
      throw new AppError("invalid_request", `messages[${index}].content: must contain at least one content block`);
    }
  }
  for (const [index, { type, input_schema: schema }] of tools.entries()) {
    if (type !== undefined && type !== "custom") {
      throw new AppError("invalid_request", `tools[${index}]: server tool type "${type}" is not supported`);
    }
    if (schema === undefined) throw new AppError("invalid_request", `tools[${index}].input_schema: field required for client tools`);
  }
}
