// A /v1/responses request as the chat request that it means.
//
// Source: Dynamo 1.6.1 (protocols/openai/responses); evidence: golden frontend resp.*.
// I1  The rules of a chat hold for it: what this file writes goes through chat-request.ts and validation.ts.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import { type ChatRequest, parseChatRequest } from "../preprocess/chat-request.ts";
import type { JsonMap } from "../preprocess/shape.ts";
import { messagesOfInput } from "./input-items.ts";
import { showsLogprobs } from "./response-object.ts";
import type { ResponsesMembers, ResponsesRequest } from "./responses-request.ts";

/** No chat shows more. */
const topLogprobsMax = 20;

/** Members of both, under the names that a chat has for them. */
const renamed: readonly (readonly [ours: keyof ResponsesMembers, chat: string])[] = [
  ["stream", "stream"],
  ["max_output_tokens", "max_completion_tokens"],
  ["temperature", "temperature"],
  ["top_p", "top_p"],
  ["parallel_tool_calls", "parallel_tool_calls"],
  ["service_tier", "service_tier"],
  ["store", "store"],
  ["metadata", "metadata"],
  ["user", "user"],
  ["prompt_cache_key", "prompt_cache_key"],
  ["nvext", "nvext"],
];

/** @throws AppError `invalid_request` for tools and content that a chat has no place for */
export function chatOfResponses(request: ResponsesRequest): ChatRequest {
  const { members, raw } = request;
  const body: JsonMap = new Map([["model", members.model ?? ""]]);
  body.set("messages", messagesOfInput(members));
  for (const [name, chat] of renamed) set(body, chat, raw.get(name));
  set(body, "chat_template_args", members.chat_template_args);
  set(body, "reasoning_effort", members.reasoning?.effort);
  set(body, "response_format", responseFormat(members));
  setTools(body, members);
  if (showsLogprobs(members)) body.set("logprobs", true);
  if (members.top_logprobs !== undefined) body.set("top_logprobs", Math.min(members.top_logprobs, topLogprobsMax));
  return parseChatRequest(body);
}

function responseFormat({ text }: ResponsesMembers): LosslessJson | undefined {
  const format = text?.format;
  if (format === undefined || format.get("type") !== "json_schema") return format;
  const schema = new Map([...format].filter(([name]) => name !== "type"));
  return new Map<string, LosslessJson>([
    ["type", "json_schema"],
    ["json_schema", schema],
  ]);
}

function chatTool(tool: JsonMap): JsonMap {
  if (tool.get("type") !== "function") throw unsupportedType("tools", tool);
  const described = new Map([...tool].filter(([name]) => name !== "type"));
  return new Map<string, LosslessJson>([
    ["type", "function"],
    ["function", described],
  ]);
}

/** `allowed_tools` leaves the other tools out; its `mode` is the choice among the rest. */
function setTools(body: JsonMap, { tools = [], tool_choice: choice }: ResponsesMembers): void {
  const isAllowance = choice instanceof Map && choice.get("type") === "allowed_tools";
  const allowed = isAllowance ? allowedNames(choice) : undefined;
  const chosen = tools.map(chatTool).filter((tool) => allowed?.has((tool.get("function") as JsonMap).get("name")!) !== false);
  if (chosen.length > 0) body.set("tools", chosen);
  set(body, "tool_choice", isAllowance ? (choice.get("mode") ?? "auto") : chatToolChoice(choice));
}

function allowedNames(choice: JsonMap): ReadonlySet<LosslessJson> {
  const listed = choice.get("tools") ?? [];
  const tools = Array.isArray(listed) ? listed.filter((tool) => tool instanceof Map) : [];
  return new Set(tools.map((tool) => chatTool(tool)).map((tool) => (tool.get("function") as JsonMap).get("name")!));
}

function chatToolChoice(choice: ResponsesMembers["tool_choice"]): LosslessJson | undefined {
  if (choice === undefined || typeof choice === "string") return choice;
  if (choice.get("type") !== "function") throw unsupportedType("tool_choice", choice);
  const named = new Map([["name", choice.get("name") ?? null]]);
  return new Map<string, LosslessJson>([
    ["type", "function"],
    ["function", named],
  ]);
}

function unsupportedType(member: string, written: JsonMap): AppError {
  const type = written.get("type");
  return new AppError(
    "invalid_request",
    `Failed to convert responses request: Unsupported Responses ${member} type '${typeof type === "string" ? type : "unknown"}': the Chat Completions adapter supports only function tools and none, auto, required, named function, or function-only allowed_tools choices`,
  );
}

function set(members: JsonMap, name: string, value: LosslessJson | undefined): void {
  if (value !== undefined) members.set(name, value);
}
