// The form of /v1/responses for a chat's answer.
//
// Source: Dynamo 1.6.1; evidence: golden frontend resp.*. A unary answer has its calls before its message, as there.
import type { ChatSurface } from "../http/chat-surface.ts";
import type { FoldedChoice } from "../postprocess/aggregate.ts";
import type { TokenLogprob } from "../postprocess/logprobs.ts";
import type { FoldedChat } from "../postprocess/unary-answer.ts";
import { ResponseEvents } from "./response-events.ts";
import {
  functionCallItem,
  incompleteReasonOf,
  itemId,
  type ItemStatus,
  messageItem,
  outputLogprobs,
  reasoningItem,
  reasoningPart,
  responseObject,
  showsLogprobs,
  textPart,
} from "./response-object.ts";
import type { ResponsesRequest } from "./responses-request.ts";

export function responsesSurface(request: ResponsesRequest): ChatSurface {
  return {
    isOpenAiChat: false,
    newId: (contextId) => `resp_${contextId.replaceAll("-", "")}`,
    showsUsage: "on request",
    stream: (events, identity) => new ResponseEvents(events, request, identity),
    body: ({ aggregate, nvext }: FoldedChat, identity, usage) => {
      const choice = aggregate.first;
      const incompleteReason = incompleteReasonOf(choice?.finishReason);
      const status = incompleteReason === undefined ? "completed" : "incomplete";
      const output = outputOf(choice, status, showsLogprobs(request.members));
      return responseObject(request, identity, { status, output, usage, incompleteReason, nvext });
    },
  };
}

function outputOf(choice: FoldedChoice | undefined, status: ItemStatus, odds: boolean): object[] {
  const { content = "", reasoning = "", toolCalls = [], logprobs } = choice ?? {};
  const output: object[] = [];
  const hasMessage = content !== "" || toolCalls.length === 0;
  if (reasoning !== "") output.push(reasoningItem(itemId("rs"), "completed", [reasoningPart(reasoning)]));
  for (const [at, call] of toolCalls.entries()) {
    const isLast = !hasMessage && at === toolCalls.length - 1;
    const named = { id: itemId("fc"), callId: call.id, name: call.function.name };
    output.push(functionCallItem(named, isLast ? status : "completed", call.function.arguments));
  }
  const entries = odds ? outputLogprobs(logprobs as readonly TokenLogprob[] | undefined) : [];
  if (hasMessage) output.push(messageItem(itemId("msg"), status, [textPart(content, entries)]));
  return output;
}
