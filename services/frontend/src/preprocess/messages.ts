// Chat messages as a model's template sees them.
//
//   typed message                                              for the template
//   {content: [text "a", text "b"]}                            content "a\nb"
//   {content: [text "a", image_url …]}                         [{"type":"text","text":"a"}, {"type":"image"}]
//   {tool_calls: [{function: {arguments: "{\"x\": 1.0}"}}]}    arguments {"x": 1.0}
//   {reasoning_content: "r", content: "a"}                     content "<think>r</think>a", if the template does not know the word
//
// What a template needs beyond that is found by probing it (template/probes.ts). Rules and numbers: text.md §3.
// Source: Dynamo 1.6.1 (preprocessor/prompt/template/oai.rs), seen running. Odd there and here: a member that is taken out of a
// message leaves its place to the last one.
import { AppError, type LosslessJson, parseJsonLossless } from "@mm-router/protocol";
import type { TemplateTraits } from "../text/template/probes.ts";

/** A typed message (message-shape.ts): members in a fixed order, no nulls. */
export type Message = ReadonlyMap<string, LosslessJson>;
type Part = ReadonlyMap<string, LosslessJson>;
type Content = LosslessJson | undefined;

/** @throws AppError `invalid_request` for members that no template gets (rule 5) */
export function templateMessages(messages: readonly Message[], traits: TemplateTraits): Message[] {
  for (const [index, message] of messages.entries()) refuseUnsupported(message, index);
  const demoted = traits.refusesLaterSystemTurns ? withoutLaterSystemTurns(messages) : messages;
  const turns = traits.refusesAdjacentUserTurns ? withUserTurnsMerged(demoted) : demoted;
  return turns.map((message) => templateMessage(message, traits));
}

/** Rule 5. */
function refuseUnsupported(message: Message, index: number): void {
  if (message.get("partial") === true) throw new AppError("invalid_request", `messages[${index}]: partial messages are not supported`);
  const tools = message.get("tools");
  if (Array.isArray(tools) && tools.length > 0) {
    throw new AppError("invalid_request", `messages[${index}]: tools inside a message are not supported`);
  }
}

/** Rule 7: system turns at the start become one, later ones become user turns. */
function withoutLaterSystemTurns(messages: readonly Message[]): Message[] {
  const turns: Message[] = [];
  for (const message of messages) {
    const first = turns[0];
    if (message.get("role") !== "system" || first === undefined) turns.push(message);
    else if (turns.length === 1 && first.get("role") === "system") turns[0] = merged(first, message);
    else turns.push(new Map([...message, ["role", "user"]]));
  }
  return turns;
}

/** Rule 8. */
function withUserTurnsMerged(messages: readonly Message[]): Message[] {
  const turns: Message[] = [];
  for (const message of messages) {
    const last = turns.at(-1);
    const continues = last !== undefined && last.get("role") === "user" && message.get("role") === "user";
    if (continues) turns.splice(-1, 1, merged(last, message));
    else turns.push(message);
  }
  return turns;
}

/** `first` with the contents of both; other members of `second` are lost. */
function merged(first: Message, second: Message): Message {
  const content = mergedContent(first.get("content"), second.get("content"));
  if (content === undefined) return first;
  const message = without(first, "content");
  message.set("content", content);
  return message;
}

function mergedContent(first: Content, second: Content): Content {
  if (first === undefined || second === undefined) return first ?? second;
  if (typeof first !== "string" || typeof second !== "string") return [...partsOf(first), ...partsOf(second)];
  return first === "" || second === "" ? first + second : `${first}\n\n${second}`;
}

function partsOf(content: LosslessJson): LosslessJson[] {
  if (Array.isArray(content)) return content;
  return typeof content === "string" && content !== "" ? [textPart(content)] : [];
}

/** Members that rules 13 to 16 look at. */
const ruledMembers = ["tool_calls", "function_call", "reasoning_content"];

function templateMessage(message: Message, traits: TemplateTraits): Message {
  if (isAsItStands(message, traits)) return message;
  const result = new Map(message);
  const content = message.get("content");
  if (content !== undefined) result.set("content", templateContent(content, traits));
  if (!traits.keepsArgumentText) parseCallArguments(result);
  parseFunctionCallArguments(result);
  return message.get("role") === "assistant" ? withReasoning(result, traits) : result;
}

/** Nearly every message: text that no rule changes. Templates cannot change what they are given, so it needs no copy. */
function isAsItStands(message: Message, { needsContentParts }: TemplateTraits): boolean {
  return typeof message.get("content") === "string" && !needsContentParts && !ruledMembers.some((name) => message.has(name));
}

/** Rules 9 to 12. */
function templateContent(content: LosslessJson, traits: TemplateTraits): LosslessJson {
  if (typeof content === "string") return traits.needsContentParts ? [textPart(content)] : content;
  if (!Array.isArray(content)) return content;
  const parts = content.map((part) => (part instanceof Map ? templatePart(part) : part));
  if (traits.needsContentParts || parts.length === 0) return parts;
  const texts = parts.map(textOfPart);
  if (texts.every((text) => text !== undefined)) return texts.join("\n");
  return traits.mediaPlaceholder === undefined ? parts : withPlaceholders(texts, traits.mediaPlaceholder);
}

const mediaKinds: Readonly<Record<string, string>> = { image_url: "image", video_url: "video", audio_url: "audio" };

/** Rule 10: of media only their kind is left. */
function templatePart(part: Part): LosslessJson {
  const type = part.get("type");
  const kind = typeof type === "string" ? mediaKinds[type] : undefined;
  return kind === undefined ? new Map(part) : new Map([["type", kind]]);
}

function textOfPart(part: LosslessJson): string | undefined {
  const text = part instanceof Map && part.get("type") === "text" ? part.get("text") : undefined;
  return typeof text === "string" ? text : undefined;
}

function textPart(text: string): LosslessJson {
  return new Map([
    ["type", "text"],
    ["text", text],
  ]);
}

/** Rule 12: `{n}` counts the parts of this message that are no text. */
function withPlaceholders(texts: readonly (string | undefined)[], placeholder: string): string {
  let count = 0;
  return texts.map((text) => text ?? placeholder.replace("{n}", String(++count))).join("");
}

/** Rule 13. */
function parseCallArguments(message: Map<string, LosslessJson>): void {
  const calls = message.get("tool_calls");
  if (!Array.isArray(calls)) return;
  const parsed = calls.map((call) => (call instanceof Map ? withParsedArguments(call, "function") : call));
  message.set("tool_calls", parsed);
}

/** Rule 14. */
function parseFunctionCallArguments(message: Map<string, LosslessJson>): void {
  for (const [name, value] of withParsedArguments(message, "function_call")) message.set(name, value);
}

/** A copy of `owner` whose function `name` has its arguments as JSON, if they are. */
function withParsedArguments(owner: ReadonlyMap<string, LosslessJson>, name: string): Map<string, LosslessJson> {
  const copy = new Map(owner);
  const called = owner.get(name);
  const written = called instanceof Map ? called.get("arguments") : undefined;
  if (called instanceof Map && typeof written === "string") copy.set(name, new Map([...called, ["arguments", parsedOr(written)]]));
  return copy;
}

function parsedOr(written: string): LosslessJson {
  try {
    return parseJsonLossless(written);
  } catch {
    return written; // arguments that are no JSON reach the template as they are
  }
}

/** Rules 15 and 16. */
function withReasoning(message: Map<string, LosslessJson>, traits: TemplateTraits): Message {
  const reasoning = message.get("reasoning_content");
  if (reasoning === undefined) return message;
  const entries = (Array.isArray(reasoning) ? reasoning : [reasoning]).filter((entry) => typeof entry === "string" && entry !== "");
  if (!traits.readsReasoning) return entries.length === 0 ? message : withThoughts(message, entries);
  if (Array.isArray(reasoning) && traits.needsReasoningText) message.set("reasoning_content", entries.join("\n"));
  return message;
}

/** Rule 15. */
function withThoughts(message: Map<string, LosslessJson>, entries: readonly LosslessJson[]): Message {
  const thoughts = entries.map((entry) => `<think>${entry}</think>`).join("");
  const content = message.get("content") ?? "";
  message.set("content", Array.isArray(content) ? [textPart(thoughts), ...content] : `${thoughts}${content}`);
  return without(message, "reasoning_content");
}

/** A copy without a member; the last one takes its place. */
function without(message: Message, name: string): Map<string, LosslessJson> {
  const members = [...message];
  const last = members.pop();
  if (last === undefined || last[0] === name) return new Map(members);
  return new Map(members.map((member) => (member[0] === name ? last : member)));
}
