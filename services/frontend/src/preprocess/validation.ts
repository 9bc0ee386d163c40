// The rules of a request, in the order in which a real frontend tells them.
//
//   shape (chat-request.ts, completion-request.ts)  →  these rules, first broken one wins  →  model lookup
//
// Order and sentences: Dynamo 1.6.1, golden frontend validation-order.json; variants val.*, val2.*, tool.*.
// I1  A rule that is broken throws; nothing here changes a request.
import { AppError, JsonFloat, type LosslessJson, parseJsonLossless } from "@mm-router/protocol";
import type { ChatMembers, ChatRequest, ChatTool } from "./chat-request.ts";
import type { CompletionMembers, CompletionRequest, Prompt } from "./completion-request.ts";
import { f32Display } from "./f32.ts";
import { guidedKinds } from "./guided-decoding.ts";
import type { JsonMap } from "./shape.ts";
import { readThinking } from "./thinking-member.ts";

/** `max_tokens` and `max_completion_tokens`. */
const outputTokensMax = 1_048_576;
const stopsMax = 32;
const toolsMax = 1536;
const toolNameMax = 128;
const suffixMax = 10_000;

export interface ValidationOptions {
  /** Unknown members are dropped instead of refused (`DYN_IGNORE_OPENAI_FE_UNSUPPORTED_FIELDS`). */
  readonly ignoreUnknown: boolean;
}

/** @throws AppError `invalid_request`, or `unsupported` for the deprecated function members */
export function validateChat(request: ChatRequest, options: ValidationOptions): void {
  const { members } = request;
  readThinking(members.thinking);
  refuseDeprecated(members);
  if (members.messages.length === 0) throw broken("The 'messages' field cannot be empty. At least one message is required.");
  checkStreamOptions(members);
  checkUnknown(request.unknown, options);
  checkPassThrough(request.raw);
  checkGuidedKinds(members);
  checkTemplateMembers(members);
  checkCallArguments(members.messages);
  if (members.model === "") throw broken("Model cannot be empty");
  between("Frequency penalty", members.frequency_penalty, -2, 2);
  checkLogitBias(members.logit_bias);
  between("Top_logprobs", members.top_logprobs, 0, 20);
  checkOutputTokens("Max tokens", members.max_tokens);
  checkOutputTokens("Max completion tokens", members.max_completion_tokens);
  checkN(members);
  between("Presence penalty", members.presence_penalty, -2, 2);
  checkStop(members.stop);
  between("Temperature", members.temperature, 0, 2);
  checkTopP(members.top_p);
  checkTools(members.tools);
  checkToolChoice(members);
  checkCommonTail(members);
}

/** @throws AppError `invalid_request` */
export function validateCompletion(request: CompletionRequest, options: ValidationOptions): void {
  const { members } = request;
  checkStreamOptions(members);
  checkUnknown(request.unknown, options);
  checkPassThrough(request.raw);
  checkGuidedKinds(members);
  if (members.model === "") throw broken("Model cannot be empty");
  checkPrompt(members.prompt);
  if ((members.suffix?.length ?? 0) > suffixMax) throw broken(`Suffix is too long, maximum ${suffixMax} characters`);
  checkOutputTokens("Max tokens", members.max_tokens);
  between("Temperature", members.temperature, 0, 2);
  checkTopP(members.top_p);
  checkN(members);
  between("Logprobs", members.logprobs, 0, 5);
  checkStop(members.stop);
  between("Presence penalty", members.presence_penalty, -2, 2);
  between("Frequency penalty", members.frequency_penalty, -2, 2);
  checkBestOf(members);
  checkLogitBias(members.logit_bias);
  checkCommonTail(members);
}

/** `logprobs` is a switch in chat and a number in completions. */
type Common = Pick<ChatMembers, Exclude<keyof ChatMembers & keyof CompletionMembers, "logprobs">>;

function checkCommonTail(members: Common): void {
  if (members.user === "") throw broken("User ID cannot be empty");
  const repetition = members.repetition_penalty;
  if (repetition !== undefined && !(repetition > 0 && repetition <= 2)) throw outside("Repetition penalty", repetition, 0, 2);
  between("Min_p", members.min_p, 0, 1);
  if (members.top_k !== undefined && members.top_k < -1) throw broken("Top_k must be null or greater than or equal to -1");
}

function refuseDeprecated(members: ChatMembers): void {
  const replaced = (old: string, now: string) =>
    new AppError("unsupported", `Validation: \`${old}\` is deprecated. Please migrate to use \`${now}\` instead.`);
  if (members.function_call !== undefined) throw replaced("function_call", "tool_choice");
  if (members.functions !== undefined) throw replaced("functions", "tools");
}

function checkStreamOptions(members: Common): void {
  if (members.stream_options !== undefined && members.stream !== true) {
    throw broken("The 'stream_options' field is only allowed when 'stream' is set to true.");
  }
}

function checkUnknown(unknown: readonly string[], { ignoreUnknown }: ValidationOptions): void {
  if (unknown.length > 0 && !ignoreUnknown) throw broken(`Unsupported parameter(s): ${unknown.map((name) => `\`${name}\``).join(", ")}`);
}

const isTokenId = (value: LosslessJson) => typeof value === "number" && value >= 0 && value <= 0xffff_ffff;
const isTokenIds = (value: LosslessJson) => Array.isArray(value) && value.every(isTokenId);
const passThroughRules: readonly (readonly [name: string, holds: (value: LosslessJson) => boolean, expected: string])[] = [
  ["cache_salt", (value) => typeof value === "string", "a string"],
  ["detokenize", (value) => typeof value === "boolean", "a boolean"],
  ["return_tokens_as_token_ids", (value) => typeof value === "boolean", "a boolean"],
  ["prompt_logprobs", (value) => typeof value === "number", "an integer"],
  ["stop_token_ids", isTokenIds, "an array of token IDs"],
  ["allowed_token_ids", isTokenIds, "an array of token IDs"],
  ["bad_words_token_ids", isTokenIds, "an array of token IDs"],
  ["logprob_token_ids", isTokenIds, "an array of token IDs"],
];

function checkPassThrough(raw: JsonMap): void {
  for (const [name, holds, expected] of passThroughRules) {
    const value = raw.get(name) ?? null;
    if (value !== null && !holds(value)) throw broken(`\`${name}\` must be ${expected}`);
  }
}

function checkGuidedKinds(members: Common): void {
  const kinds = guidedKinds(members);
  if (kinds.length > 1)
    throw new AppError("invalid_request", `Only one guided-decoding constraint can be set; received: ${kinds.join(", ")}`);
}

function checkTemplateMembers(members: ChatMembers): void {
  if (members.chat_template_args?.has("chat_template")) throw broken("`chat_template` is not supported inside `chat_template_args`");
  if (members.continue_final_message === true && members.add_generation_prompt !== false) {
    throw broken("Cannot set both `continue_final_message` and `add_generation_prompt` to True.");
  }
}

/** Arguments of earlier calls: the template gets them as an object. */
function checkCallArguments(messages: readonly JsonMap[]): void {
  for (const [index, message] of messages.entries()) {
    const calls = (message.get("tool_calls") ?? []) as JsonMap[];
    for (const [at, call] of calls.entries()) {
      const problem = argumentsProblem((call.get("function") as JsonMap).get("arguments"));
      if (problem !== undefined) {
        throw broken(`\`messages[${index}].tool_calls[${at}].function.arguments\` must be a valid JSON object string: ${problem}`);
      }
    }
  }
}

function argumentsProblem(written: LosslessJson | undefined): string | undefined {
  if (typeof written !== "string" || written === "") return undefined;
  try {
    return parseJsonLossless(written) instanceof Map ? undefined : "not an object";
  } catch (error) {
    return error instanceof AppError ? error.message : String(error);
  }
}

function checkLogitBias(bias: JsonMap | undefined): void {
  for (const [token, value] of bias ?? []) {
    const amount = value instanceof JsonFloat ? value.value : value;
    if (typeof amount !== "number") throw broken(`Logit bias for token '${token}' must be a number`);
    if (!(amount >= -100 && amount <= 100))
      throw broken(`Logit bias for token '${token}' must be between -100 and 100, got ${f32Display(amount)}`);
  }
}

function checkOutputTokens(name: string, value: number | undefined): void {
  if (value === undefined) return;
  if (value < 1) throw broken(`${name} must be greater than 0, got ${value}`);
  if (value > outputTokensMax) throw broken(`${name} must not exceed ${outputTokensMax}, got ${value}`);
}

function checkN({ n, temperature }: Common): void {
  if (n === undefined) return;
  if (n < 1 || n > 128) throw outside("n", n, 1, 128);
  if (n > 1 && temperature === 0) {
    throw broken(`When n > 1, temperature must be greater than 0 to ensure diverse outputs. Got n=${n}, temperature=0`);
  }
}

function checkStop(stop: string | readonly string[] | undefined): void {
  if (stop === undefined) return;
  if (stop === "") throw broken("Stop sequence cannot be empty");
  if (typeof stop === "string") return;
  if (stop.length === 0) throw broken("Stop sequences array cannot be empty");
  if (stop.length > stopsMax) throw new AppError("invalid_request", `Maximum of ${stopsMax} stop sequences allowed, got ${stop.length}`);
  const empty = stop.indexOf("");
  if (empty >= 0) throw broken(`Stop sequence at index ${empty} cannot be empty`);
}

/** 0 is outside: no token would be left. */
function checkTopP(topP: number | undefined): void {
  if (topP !== undefined && !(topP > 0 && topP <= 1)) throw outside("Top_p", topP, 0, 1);
}

function checkTools(tools: readonly ChatTool[] | undefined): void {
  if (tools === undefined) return;
  if (tools.length === 0) throw broken("tools array cannot be empty; omit the field entirely to disable tool use");
  if (tools.length > toolsMax) throw broken(`Maximum of ${toolsMax} tools allowed, got ${tools.length}`);
  for (const [index, tool] of tools.entries()) checkFunction(index, tool.function);
}

function checkFunction(index: number, { name, parameters }: ChatTool["function"]): void {
  if (name === "") throw broken(`Function name at index ${index} cannot be empty`);
  if (name.length > toolNameMax)
    throw broken(`Function name at index ${index} exceeds ${toolNameMax} character limit, got ${name.length} characters`);
  if (!/^[A-Za-z0-9_-]+$/.test(name)) {
    throw broken(
      `Function at index ${index} has an invalid name: ${JSON.stringify(name)}. Only a-z, A-Z, 0-9, underscores, and dashes are allowed.`,
    );
  }
  if (parameters !== undefined && !(parameters instanceof Map)) {
    throw broken(`Function parameters at index ${index} for ${JSON.stringify(name)} must be a JSON Schema object`);
  }
}

function checkToolChoice({ tool_choice: choice, tools }: ChatMembers): void {
  if (choice === "required" && tools === undefined) throw broken('tool_choice is "required" but tools is empty');
  if (typeof choice !== "object") return;
  const { name } = choice.function;
  if (!tools?.some((tool) => tool.function.name === name))
    throw broken(`tool named ${JSON.stringify(name)} in tool_choice is not present in tools`);
}

function checkPrompt(prompt: Prompt): void {
  if (prompt === "") throw broken("Prompt string cannot be empty");
  if (typeof prompt === "string") return;
  if (prompt.length === 0) throw broken("Prompt string array cannot be empty");
  const empty = prompt.findIndex((each) => typeof each !== "number" && each.length === 0);
  if (empty >= 0) throw broken(`Prompt at index ${empty} cannot be empty`);
}

function checkBestOf({ best_of: bestOf, n = 1 }: CompletionMembers): void {
  between("Best_of", bestOf, 0, 20);
  if (bestOf !== undefined && bestOf < n) throw broken(`Best_of must be greater than or equal to n, got best_of=${bestOf} and n=${n}`);
}

function between(name: string, value: number | undefined, min: number, max: number): void {
  if (value !== undefined && !(value >= min && value <= max)) throw outside(name, value, min, max);
}

function outside(name: string, value: number, min: number, max: number): AppError {
  return broken(`${name} must be between ${min} and ${max}, got ${f32Display(value)}`);
}

function broken(rule: string): AppError {
  return new AppError("invalid_request", `Validation: ${rule}`);
}
