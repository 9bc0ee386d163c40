// From a validated request to the prompt of a Tokens worker.
//
//   chat         messages ─ template → text ─ without NUL ─ encode → token ids      nvext.token_data: those ids, no template
//   completion   text ─ encode → token ids, or the client's ids
//
// Source: Dynamo 1.6.1 (preprocessor.rs); sentences and the context check as in 1.4.2, where 1.6.1 hides the cause.
// I1  Everything that can refuse a prompt has refused it before a worker is chosen.
import { AppError } from "@mm-router/protocol";
import type { WorkerSet } from "../models/worker-set.ts";
import type { ChatPromptInput, TextModel } from "../text/index.ts";
import type { ChatRequest } from "./chat-request.ts";
import type { CompletionMembers } from "./completion-request.ts";
import { checkContextLength, type RequestLimits } from "./limits.ts";
import { type MediaReferences, mediaReferences } from "./media.ts";
import { readThinking } from "./thinking-member.ts";

export interface TokenPrompt {
  readonly tokenIds: Uint32Array;
  /** What the template printed, NUL included; undefined when the client sent ids. */
  readonly formatted: string | undefined;
  readonly media: MediaReferences | undefined;
  /** Of its pictures, where the request tells them (image-names.ts). */
  readonly imageNames?: readonly string[] | undefined;
}

/** @throws AppError for media that are refused, a template that fails, or too many tokens */
export async function chatPrompt(request: ChatRequest, text: TextModel, workers: WorkerSet, limits: RequestLimits): Promise<TokenPrompt> {
  const media = mediaReferences(request.members.messages, limits);
  const prompt = await promptOfChat(request, text);
  checkContextLength(prompt.tokenIds.length, workers.contextLength);
  return { ...prompt, media };
}

/** One prompt per request to a worker. @throws AppError for unknown ids, too many prompts or too many tokens */
export async function completionPrompts(
  members: CompletionMembers,
  text: TextModel,
  workers: WorkerSet,
  limits: RequestLimits,
): Promise<TokenPrompt[]> {
  const written = promptList(members.prompt);
  if (written.length > limits.promptsMax) {
    throw new AppError("invalid_request", `the request has ${written.length} prompts, the limit is ${limits.promptsMax}`);
  }
  const ids = await encodedPrompts(written, text, workers.contextLength);
  return written.map((each, at) => ({ tokenIds: ids[at]!, formatted: typeof each === "string" ? each : undefined, media: undefined }));
}

/** Token ids of texts, and of lists of ids. @throws AppError for unknown ids or too many tokens */
export async function encodedPrompts(
  written: readonly (string | readonly number[])[],
  text: TextModel,
  contextLength: number,
): Promise<Uint32Array[]> {
  const all: Uint32Array[] = [];
  for (const each of written) {
    const tokenIds = typeof each === "string" ? await encoded(each, text) : knownIds(each, text);
    checkContextLength(tokenIds.length, contextLength);
    all.push(tokenIds);
  }
  return all;
}

/** Without the rules that need a worker's card. */
export async function promptOfChat(request: ChatRequest, text: TextModel): Promise<Omit<TokenPrompt, "media">> {
  const given = request.members.nvext?.token_data;
  if (given !== undefined) return { tokenIds: knownIds(given, text), formatted: undefined };
  const formatted = text.render(promptInput(request));
  return { tokenIds: await encoded(formatted, text), formatted };
}

/** What a chat request says about its prompt. */
export function promptInput({ members, raw }: ChatRequest): ChatPromptInput {
  const {
    chat_template_args: args,
    reasoning_effort: effort,
    add_generation_prompt: generation,
    continue_final_message: continues,
  } = members;
  const tools = raw.get("tools") ?? null;
  const choice = raw.get("tool_choice") ?? null;
  const thinking = readThinking(members.thinking);
  return {
    messages: members.messages,
    ...(tools !== null && { tools }),
    ...(choice !== null && { toolChoice: choice }),
    ...(args !== undefined && { chatTemplateArgs: args }),
    ...(effort !== undefined && { reasoningEffort: effort }),
    ...(thinking !== undefined && { thinking }),
    ...(generation !== undefined && { addGenerationPrompt: generation }),
    ...(continues !== undefined && { continueFinalMessage: continues }),
  };
}

function promptList(prompt: CompletionMembers["prompt"]): (string | number[])[] {
  if (typeof prompt === "string") return [prompt];
  const isOneOfIds = prompt.every((each) => typeof each === "number");
  return isOneOfIds ? [prompt as number[]] : (prompt as (string | number[])[]);
}

async function encoded(prompt: string, text: TextModel): Promise<Uint32Array> {
  return text.encodeAside(prompt.includes("\0") ? prompt.replaceAll("\0", "") : prompt);
}

function knownIds(ids: readonly number[], text: TextModel): Uint32Array {
  const unknown = ids.find((id) => id >= text.vocabularySize);
  if (unknown !== undefined)
    throw new AppError("invalid_request", `token id ${unknown} is outside the vocabulary of ${text.vocabularySize} tokens`);
  return Uint32Array.from(ids);
}
