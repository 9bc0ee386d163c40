// What a worker with a reasoning parser is told about thinking.
//
//   reasoning_effort "none"   extra_args.reasoning_parser_kwargs {"chat_template_kwargs": {"enable_thinking": false, …}}
//   a forced tool choice      require_reasoning true: the form holds for the answer, not for the thought before it
//
// Source: Dynamo 1.6.1; evidence: golden frontend reason.*, tool2.reqthink.
import type { ModelCard } from "@mm-router/protocol";
import { thinkingArguments } from "../text/index.ts";
import type { ChatRequest } from "./chat-request.ts";
import type { JsonMap } from "./shape.ts";
import { readThinking } from "./thinking-member.ts";

export interface ThinkingNote {
  /** The request's template arguments with the names of thinking filled in; undefined when it has none. */
  readonly kwargs: JsonMap | undefined;
  readonly required: boolean;
  /** Whether the request switches thinking on or off; undefined: it does not say. */
  readonly thinks: boolean | undefined;
}

/** @returns undefined for a model without a reasoning parser */
export function thinkingNote({ members }: ChatRequest, card: ModelCard): ThinkingNote | undefined {
  if (!card.runtime_config?.reasoning_parser) return undefined;
  const { chat_template_args: args, reasoning_effort: effort, tool_choice: choice } = members;
  const thinking = readThinking(members.thinking);
  const kwargs = thinkingArguments({
    ...(args !== undefined && { chatTemplateArgs: args }),
    ...(effort !== undefined && { reasoningEffort: effort }),
    ...(thinking !== undefined && { thinking }),
  }) as JsonMap;
  const thinks = kwargs.get("thinking");
  return {
    kwargs: kwargs.size === 0 ? undefined : kwargs,
    required: choice === "required" || typeof choice === "object",
    thinks: typeof thinks === "boolean" ? thinks : undefined,
  };
}
