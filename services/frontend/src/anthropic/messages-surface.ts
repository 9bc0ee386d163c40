// The form of /v1/messages for a chat's answer.
//
// Source: Dynamo 1.6.1; evidence: golden frontend anth.*.
import type { ChatSurface } from "../http/chat-surface.ts";
import type { FoldedChoice } from "../postprocess/aggregate.ts";
import type { Usage } from "../postprocess/usage.ts";
import { MessageEvents } from "./message-events.ts";
import { messageObject, messageUsage, stopNote, textBlock, thinkingBlock, toolInput, toolUseBlock, toolUseId } from "./message-object.ts";

const unknownUsage: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };

export const messagesSurface: ChatSurface = {
  isOpenAiChat: false,
  newId: (contextId) => `msg_${contextId.replaceAll("-", "")}`,
  showsUsage: "always",
  stream: (events, identity, promptTokens) => new MessageEvents(events, identity, promptTokens),
  body: ({ aggregate, nvext }, identity, usage) => {
    const choice = aggregate.first;
    const stop = stopNote(choice?.finishReason, nvext?.["stop_reason"]);
    return messageObject(identity, blocksOf(choice), stop, messageUsage(usage ?? unknownUsage));
  },
};

function blocksOf({ content, reasoning, toolCalls }: FoldedChoice = nothing): object[] {
  const calls = toolCalls.map(({ id, function: { name, arguments: written } }) => toolUseBlock(toolUseId(id), name, toolInput(written)));
  const thoughts = reasoning === "" ? [] : [thinkingBlock(reasoning)];
  const text = content === "" && calls.length > 0 ? [] : [textBlock(content)];
  return [...thoughts, ...text, ...calls];
}

const nothing: FoldedChoice = { content: "", reasoning: "", toolCalls: [], finishReason: null, logprobs: undefined };
