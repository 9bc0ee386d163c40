// A /v1/messages request as the chat request that it means.
//
//   system                        system message; blocks joined by line breaks
//   user text, images             user message        image source base64 → data: URL, url → that URL
//   user tool_result              tool message, in its place among the others
//   assistant thinking, text, tool_use   one assistant message
//   tool_choice any, tool         required, the named function
//
// Source: Dynamo 1.6.1 (protocols/anthropic); evidence: golden frontend anth.*. There url images are refused.
// I1  The rules of a chat hold for it: what this file writes goes through chat-request.ts and validation.ts.
import { AppError, type LosslessJson, stringifyJsonLossless } from "@mm-router/protocol";
import { AssistantTurn, imagePart, messageOf, textPart } from "../preprocess/built-messages.ts";
import { type ChatRequest, parseChatRequest } from "../preprocess/chat-request.ts";
import type { JsonMap } from "../preprocess/shape.ts";
import type { AnthropicMessage, AnthropicTool, MessagesRequest, PromptMembers } from "./messages-request.ts";

/** @param reasons whether the model has a reasoning parser @throws AppError `invalid_request` for content that a chat has no place for */
export function chatOfMessages({ members, raw }: MessagesRequest, reasons: boolean): ChatRequest {
  const body = promptBody(members, reasons);
  body.set("max_completion_tokens", members.max_tokens);
  for (const name of ["temperature", "top_p", "top_k", "stream"]) set(body, name, raw.get(name));
  set(body, "stop", members.stop_sequences?.length === 0 ? undefined : members.stop_sequences);
  set(body, "response_format", responseFormat(members));
  body.set("nvext", withStopReason(members.nvext));
  return parseChatRequest(body);
}

/** For counting: a chat with this prompt. @throws AppError `invalid_request` */
export function chatOfCount(members: PromptMembers, reasons: boolean): ChatRequest {
  return parseChatRequest(promptBody(members, reasons));
}

function promptBody(members: PromptMembers, reasons: boolean): JsonMap {
  const body: JsonMap = new Map([["model", members.model]]);
  const system = members.system === undefined ? [] : [messageOf("system", systemText(members.system))];
  body.set("messages", [...system, ...members.messages.flatMap(chatMessages)]);
  if ((members.tools ?? []).length > 0) body.set("tools", members.tools!.map(chatTool));
  set(body, "tool_choice", chatToolChoice(members.tool_choice));
  set(body, "reasoning_effort", members.output_config?.effort);
  setThinking(body, members, reasons);
  return body;
}

function systemText(system: string | readonly JsonMap[]): string {
  return typeof system === "string" ? system : system.map((block) => block.get("text")).join("\n");
}

function chatMessages({ role, content }: AnthropicMessage, index: number): JsonMap[] {
  if (typeof content === "string") return [messageOf(role, content)];
  return role === "user" ? userMessages(content, index) : [assistantMessage(content, index)];
}

/** Tool results stand where they stood among the user's own parts. */
function userMessages(blocks: readonly JsonMap[], index: number): JsonMap[] {
  const messages: JsonMap[] = [];
  let parts: JsonMap[] = [];
  const endTurn = () => {
    if (parts.length > 0) messages.push(messageOf("user", joined(parts)));
    parts = [];
  };
  for (const [at, block] of blocks.entries()) {
    const path = `messages[${index}].content[${at}]`;
    if (block.get("type") === "tool_result") {
      endTurn();
      messages.push(toolMessage(block, path));
    } else parts.push(userPart(block, path));
  }
  endTurn();
  return messages;
}

function userPart(block: JsonMap, path: string): JsonMap {
  const type = block.get("type");
  if (type === "text") return textPart(textMember(block, "text", path));
  if (type === "image") return imagePart(imageUrl(block.get("source"), path), null);
  throw broken(`${path}: content block type ${JSON.stringify(type ?? null)} is not supported`);
}

function imageUrl(source: LosslessJson | undefined, path: string): string {
  if (source instanceof Map && source.get("type") === "url") return textMember(source, "url", `${path}.source`);
  if (source instanceof Map && source.get("type") === "base64") {
    return `data:${textMember(source, "media_type", `${path}.source`)};base64,${textMember(source, "data", `${path}.source`)}`;
  }
  throw broken(`${path}.source: type must be base64 or url`);
}

function toolMessage(block: JsonMap, path: string): JsonMap {
  const content = block.get("content") ?? "";
  const parts = Array.isArray(content) ? content.filter((part) => part instanceof Map) : [];
  const said = typeof content === "string" ? content : joined(parts.map((part) => userPart(part, path)));
  return messageOf("tool", said).set("tool_call_id", textMember(block, "tool_use_id", path));
}

/** Text alone is one string. */
function joined(parts: readonly JsonMap[]): LosslessJson {
  const isText = parts.every((part) => part.get("type") === "text");
  return isText ? parts.map((part) => part.get("text")).join("") : [...parts];
}

/** Blocks that no chat has a place for (redacted thoughts, servers' tools) are left out: the client only repeats them. */
function assistantMessage(blocks: readonly JsonMap[], index: number): JsonMap {
  const turn = new AssistantTurn();
  for (const [at, block] of blocks.entries()) {
    const path = `messages[${index}].content[${at}]`;
    const type = block.get("type");
    if (type === "text") turn.say(textMember(block, "text", path));
    else if (type === "thinking") turn.think(textMember(block, "thinking", path), "\n");
    else if (type === "tool_use") {
      turn.call(textMember(block, "id", path), textMember(block, "name", path), stringifyJsonLossless(block.get("input") ?? new Map()));
    }
  }
  return turn.message();
}

function chatTool({ name, description, input_schema: schema }: AnthropicTool): JsonMap {
  const described: JsonMap = new Map([["name", name]]);
  set(described, "description", description);
  set(described, "parameters", schema);
  return new Map<string, LosslessJson>([
    ["type", "function"],
    ["function", described],
  ]);
}

function chatToolChoice(choice: PromptMembers["tool_choice"]): LosslessJson | undefined {
  if (choice === undefined || choice.type === "auto" || choice.type === "none") return choice?.type;
  if (choice.type === "any" || choice.name === undefined) return "required";
  return new Map<string, LosslessJson>([
    ["type", "function"],
    ["function", new Map([["name", choice.name]])],
  ]);
}

/** A model that reasons does so unless it is told not to, and sees what it thought before. */
function setThinking(body: JsonMap, { thinking }: PromptMembers, reasons: boolean): void {
  if (thinking?.type === "disabled") {
    body.set("thinking", new Map([["type", "disabled"]]));
  } else if (reasons) {
    body.set("chat_template_args", new Map(Object.entries({ enable_thinking: true, truncate_history_thinking: false })));
  }
}

function responseFormat({ output_config: config }: PromptMembers): LosslessJson | undefined {
  const schema = config?.format?.get("type") === "json_schema" ? config.format.get("schema") : undefined;
  if (schema === undefined) return undefined;
  const named = new Map<string, LosslessJson>([
    ["name", "output"],
    ["schema", schema],
  ]);
  return new Map<string, LosslessJson>([
    ["type", "json_schema"],
    ["json_schema", named],
  ]);
}

/** The answer has to name the stop sequence. */
function withStopReason(nvext: JsonMap = new Map()): JsonMap {
  const given = nvext.get("extra_fields") ?? [];
  const fields = Array.isArray(given) ? given : [];
  return new Map(nvext).set("extra_fields", fields.includes("stop_reason") ? fields : [...fields, "stop_reason"]);
}

function textMember(block: JsonMap, name: string, path: string): string {
  const value = block.get(name);
  if (typeof value === "string") return value;
  throw broken(`${path}.${name}: must be a string`);
}

function broken(what: string): AppError {
  return new AppError("invalid_request", what);
}

function set(members: JsonMap, name: string, value: LosslessJson | undefined): void {
  if (value !== undefined) members.set(name, value);
}
