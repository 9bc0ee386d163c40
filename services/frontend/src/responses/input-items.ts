// The `input` of a /v1/responses request as chat messages.
//
//   "hi"                                            user "hi"
//   {role, content}, {type:"message", …}            a message of that role; developer turns are system turns
//   reasoning · assistant text · function_call      one assistant message, as long as they follow each other
//   function_call_output                            tool message
//   item_reference, items of tools that run elsewhere   nothing: they end the assistant message
//
// Source: Dynamo 1.6.1 (protocols/openai/responses); evidence: golden frontend resp.items, resp.history, resp.img.
// I1  Leading system messages (`instructions` is one) are joined by an empty line: many templates take one only.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import type { JsonMap } from "../preprocess/shape.ts";
import { AssistantTurn, imagePart, messageOf, textPart } from "../preprocess/built-messages.ts";
import type { ResponsesMembers } from "./responses-request.ts";

/** @throws AppError `invalid_request` for content that a chat has no place for */
export function messagesOfInput({ input, instructions }: Pick<ResponsesMembers, "input" | "instructions">): JsonMap[] {
  const turns = new Turns();
  if (instructions !== undefined) turns.push(messageOf("system", instructions));
  if (typeof input === "string") turns.push(messageOf("user", input));
  else for (const [index, item] of input.entries()) addItem(turns, item, index);
  return withSystemMerged(turns.end());
}

/** Messages so far, and the assistant's turn that is still being gathered. */
class Turns {
  readonly #messages: JsonMap[] = [];
  #assistant: AssistantTurn | undefined;

  get assistant(): AssistantTurn {
    return (this.#assistant ??= new AssistantTurn());
  }

  /** Ends the assistant's turn. */
  push(message?: JsonMap): void {
    if (this.#assistant !== undefined) this.#messages.push(this.#assistant.message());
    this.#assistant = undefined;
    if (message !== undefined) this.#messages.push(message);
  }

  end(): JsonMap[] {
    this.push();
    return this.#messages;
  }
}

function addItem(turns: Turns, item: JsonMap, index: number): void {
  const type = item.get("type") ?? (item.has("role") ? "message" : undefined);
  if (type === "message") addMessage(turns, item, index);
  else if (type === "reasoning") turns.assistant.think(thoughtOf(item));
  else if (type === "function_call")
    turns.assistant.call(textMember(item, "call_id", index), textMember(item, "name", index), textMember(item, "arguments", index));
  else if (type === "function_call_output") turns.push(toolMessage(item, index));
  else if (type !== "item_reference") turns.push();
}

function addMessage(turns: Turns, item: JsonMap, index: number): void {
  const role = item.get("role");
  const content = item.get("content") ?? "";
  if (role === "assistant") turns.assistant.say(textOf(content));
  else if (role === "user") turns.push(messageOf("user", userContent(content, index)));
  else if (role === "system" || role === "developer") turns.push(messageOf("system", textOf(content)));
  else throw broken(`input[${index}]: a message of role ${JSON.stringify(role ?? null)}`);
}

function toolMessage(item: JsonMap, index: number): JsonMap {
  return messageOf("tool", textOf(item.get("output") ?? "")).set("tool_call_id", textMember(item, "call_id", index));
}

/** A reasoning item's own text, else its summary. */
function thoughtOf(item: JsonMap): string {
  return textOf(item.get("content") ?? "") || textOf(item.get("summary") ?? "");
}

/** Text of a string, or of the text parts of a list. */
function textOf(content: LosslessJson): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  const texts = content.map((part) => (part instanceof Map ? (part.get("text") ?? part.get("refusal")) : undefined));
  return texts.filter((text) => typeof text === "string").join("");
}

function userContent(content: LosslessJson, index: number): LosslessJson {
  if (!Array.isArray(content)) return textOf(content);
  const parts = content.map((part) => chatPart(part, index));
  const [only] = parts;
  return parts.length === 1 && only!.get("type") === "text" ? only!.get("text")! : parts;
}

function chatPart(part: LosslessJson, index: number): JsonMap {
  const type = part instanceof Map ? part.get("type") : undefined;
  if (part instanceof Map && type === "input_text") return textPart(textMember(part, "text", index));
  if (part instanceof Map && type === "input_image") {
    return imagePart(textMember(part, "image_url", index), part.get("detail") ?? "auto");
  }
  throw broken(`input[${index}]: content of type ${JSON.stringify(type ?? null)} is not supported`);
}

/** I1 */
function withSystemMerged(messages: readonly JsonMap[]): JsonMap[] {
  const first = messages.findIndex((message) => message.get("role") !== "system");
  const leading = messages.slice(0, first < 0 ? messages.length : first);
  if (leading.length < 2) return [...messages];
  const joined = leading.map((message) => message.get("content")).join("\n\n");
  return [messageOf("system", joined), ...messages.slice(leading.length)];
}

function textMember(item: JsonMap, name: string, index: number): string {
  const value = item.get(name);
  if (typeof value === "string") return value;
  throw broken(`input[${index}]: \`${name}\` must be a string`);
}

function broken(what: string): AppError {
  return new AppError("invalid_request", `Failed to convert responses request: ${what}`);
}
