// The form in which a chat is answered: OpenAI's chat completions, or another API that is translated to a chat.
//
//   chat request ─▶ worker ─▶ pieces ─▶ surface ─▶ client
//
// A surface says nothing about the request: that is an ordinary chat request by then.
import type { AppError } from "@mm-router/protocol";
import type { ChatTeller } from "../postprocess/chat-answer.ts";
import type { AnswerIdentity } from "../postprocess/chunks.ts";
import { DispatchEvents } from "../postprocess/dispatch-events.ts";
import { ChatChunks } from "../postprocess/chunks.ts";
import { type EventSink, StreamedChat } from "../postprocess/streamed-answer.ts";
import type { FoldedChat } from "../postprocess/unary-answer.ts";
import type { Usage } from "../postprocess/usage.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import { streamErrorBody } from "./error-response.ts";

export interface ChatSurface {
  /** Whether this is the form that Text workers answer in. */
  readonly isOpenAiChat: boolean;
  /** Id of the answer. */
  newId(contextId: string): string;
  /** Whether every piece of a stream needs the usage so far. */
  readonly showsUsage: "always" | "on request";
  /** @param promptTokens known before the worker says anything */
  stream(events: EventSink, identity: AnswerIdentity, promptTokens: number): ChatStream;
  /** Body of a unary answer. */
  body(chat: FoldedChat, identity: AnswerIdentity, usage: Usage | undefined): object;
}

/** A streamed answer; either `end` or `fail` comes last. */
export interface ChatStream extends ChatTeller {
  /** @param usage undefined: the engine gave no finish reason @param wanted the client asked for it */
  end(usage: Usage | undefined, wanted: boolean): void;
  fail(error: AppError): void;
}

export function openAiChat({ reasoningField, dispatch }: Pick<AnswerDeps, "reasoningField" | "dispatch">): ChatSurface {
  return {
    isOpenAiChat: true,
    newId: (contextId) => `chatcmpl-${contextId}`,
    showsUsage: "on request",
    stream: (events, identity) => {
      const chunks = new ChatChunks(identity, reasoningField);
      const told = new StreamedChat(events, chunks);
      const dispatched = dispatch.tools || dispatch.reasoning ? new DispatchEvents(events, dispatch) : undefined;
      return {
        tell: (index, piece, extras) => {
          dispatched?.before(index, piece);
          told.tell(index, piece, extras);
        },
        annotation: (event, comments) => events.annotation(event, comments),
        flush: () => events.flush(),
        end: (usage, wanted) => {
          if (usage !== undefined && wanted) events.data(chunks.usage(usage));
        },
        fail: (error) => events.data(JSON.stringify(streamErrorBody(error))),
      };
    },
    body: ({ aggregate, nvext }, identity, usage) => aggregate.body(identity, { usage, nvext }, reasoningField),
  };
}
