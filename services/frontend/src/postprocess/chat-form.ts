// How the text of a chat answer is taken apart: thoughts, then calls. Decided once per request.
//
//   tool_choice      parser on the card     calls
//   required, named  any or none            forced-call.ts, or held-forced-call.ts; the parser's format as a second try
//   auto, absent     known                  call-splitter.ts, when there are tools
//   none             –                      text passes
//
// Source: Dynamo 1.6.1; evidence: golden frontend tool.*, tool2.*, reason.*.
import type { ModelCard } from "@mm-router/protocol";
import type { ChatMembers } from "../preprocess/chat-request.ts";
import type { CallFormat } from "./calls/call-format.ts";
import { CallSplitter, type TextSplitter } from "./calls/call-splitter.ts";
import { ForcedCall } from "./calls/forced-call.ts";
import { HeldForcedCall } from "./calls/held-forced-call.ts";
import { callFormat } from "./calls/formats.ts";
import { thoughtTags } from "./reasoning/tags.ts";
import type { ThoughtTags } from "./reasoning/thought-splitter.ts";

export interface ChatForm {
  readonly thoughts: ThoughtTags | undefined;
  /** For one choice; undefined when no calls can come. */
  readonly calls: (() => TextSplitter) | undefined;
}

export interface FormOptions {
  /** Whether the request switched thinking on or off. */
  readonly thinks: boolean | undefined;
  /** Whether the arguments of forced calls are told as they come (`DYN_ENABLE_GUIDED_TOOL_STREAMING`). */
  readonly streamsForcedCalls: boolean;
}

/** @returns undefined when text passes as it is */
export function chatForm(members: ChatMembers, card: ModelCard, { thinks, streamsForcedCalls }: FormOptions): ChatForm | undefined {
  const { reasoning_parser: reasoning } = card.runtime_config ?? {};
  const thoughts = reasoning ? thoughtTags(reasoning, thinks) : undefined;
  const calls = callsOf(members, expectedFormat(members, card), streamsForcedCalls ? ForcedCall : HeldForcedCall);
  return thoughts === undefined && calls === undefined ? undefined : { thoughts, calls };
}

/** The format in which this request's calls come; undefined when none are expected, or nobody knows it. */
export function expectedFormat({ tools = [], tool_choice: choice }: ChatMembers, card: ModelCard): CallFormat | undefined {
  const parser = card.runtime_config?.tool_call_parser;
  return parser && tools.length > 0 && choice !== "none" ? callFormat(parser) : undefined;
}

function callsOf(
  { tools = [], tool_choice: choice }: ChatMembers,
  format: CallFormat | undefined,
  Forced: typeof ForcedCall | typeof HeldForcedCall,
): ChatForm["calls"] {
  const splitter = format === undefined ? undefined : () => new CallSplitter(format, tools);
  if (choice === "required") return () => new Forced(undefined, splitter?.());
  return typeof choice === "object" ? () => new Forced(choice.function.name, splitter?.()) : splitter;
}

/** Names of parsers on a card that nobody here knows: text of such models passes as it is. */
export function unknownParsers({ runtime_config: config }: ModelCard): string[] {
  const { tool_call_parser: calls, reasoning_parser: thoughts } = config ?? {};
  return [
    ...(calls && callFormat(calls) === undefined ? [calls] : []),
    ...(thoughts && thoughtTags(thoughts, undefined) === undefined ? [thoughts] : []),
  ];
}
