// A streamed answer of /v1/messages: pieces in, Anthropic's named events out.
//
//   message_start
//   content_block_start ─ content_block_delta… ─ content_block_stop      one block after the other: thinking, text, tool_use
//   message_delta {stop_reason} · message_stop · [DONE]
//
// Source: Dynamo 1.6.1 (anthropic/stream_converter); evidence: golden frontend anth.*.stream. `message_start` tells the prompt's
// real length; 1.6.1 guesses it. `[DONE]` is no event of Anthropic's; SDKs ignore it.
import { type AppError, stringifyJson } from "@mm-router/protocol";
import { errorFace } from "../http/error-response.ts";
import type { ChatStream } from "../http/chat-surface.ts";
import type { ToolCallFragment } from "../postprocess/aggregate.ts";
import type { PieceExtras } from "../postprocess/chat-answer.ts";
import type { ChatPiece } from "../postprocess/chat-pieces.ts";
import type { AnswerIdentity } from "../postprocess/chunks.ts";
import type { EventSink } from "../postprocess/streamed-answer.ts";
import type { Usage } from "../postprocess/usage.ts";
import {
  anthropicError,
  messageObject,
  messageUsage,
  stopNote,
  textBlock,
  thinkingBlock,
  toolUseBlock,
  toolUseId,
} from "./message-object.ts";

type BlockKind = "thinking" | "text" | number;

export class MessageEvents implements ChatStream {
  readonly #sink: EventSink;
  #usage: Usage;
  /** A number is the index of a call. */
  #open: BlockKind | undefined;
  #blocks = 0;
  #finish: string | undefined;
  #stop: unknown;

  constructor(sink: EventSink, identity: AnswerIdentity, promptTokens: number) {
    this.#sink = sink;
    this.#usage = { prompt_tokens: promptTokens, completion_tokens: 0, total_tokens: promptTokens };
    const open = { stop_reason: null, stop_sequence: null };
    this.#emit("message_start", { message: messageObject(identity, [], open, messageUsage(this.#usage)) });
  }

  tell(_index: number, { content, reasoning, toolCalls = [], finishReason }: ChatPiece, { usage, nvext }: PieceExtras): void {
    this.#usage = usage ?? this.#usage;
    if (reasoning !== undefined && reasoning !== "")
      this.#say("thinking", thinkingBlock(""), { type: "thinking_delta", thinking: reasoning });
    if (content !== undefined && content !== "") this.#say("text", textBlock(""), { type: "text_delta", text: content });
    for (const fragment of toolCalls) this.#call(fragment);
    this.#finish = finishReason ?? this.#finish;
    this.#stop = nvext?.["stop_reason"] ?? this.#stop;
  }

  annotation(): void {
    // this API has no place for a worker's events
  }

  flush(): Promise<void> {
    return this.#sink.flush();
  }

  end(usage: Usage | undefined): void {
    this.#close();
    const { stop_reason, stop_sequence } = stopNote(this.#finish, this.#stop);
    const delta = { stop_reason, stop_sequence: stop_sequence ?? undefined };
    this.#emit("message_delta", { delta, usage: messageUsage(usage ?? this.#usage) });
    this.#emit("message_stop", {});
  }

  fail(error: AppError): void {
    this.#sink.named("error", stringifyJson(anthropicError(errorFace(error))));
  }

  #call({ index, id = "", function: part }: ToolCallFragment): void {
    const begun = toolUseBlock(toolUseId(id), part?.name ?? "", new Map());
    this.#say(index, begun, { type: "input_json_delta", partial_json: part?.arguments ?? "" });
  }

  /** One delta, in a block of this kind; another one that is open ends first. */
  #say(kind: BlockKind, begun: object, delta: object): void {
    if (this.#open !== kind) {
      this.#close();
      this.#open = kind;
      this.#emit("content_block_start", { index: this.#blocks, content_block: begun });
    }
    this.#delta(delta);
  }

  #close(): void {
    if (this.#open === undefined) return;
    if (this.#open === "thinking") this.#delta({ type: "signature_delta", signature: "erased" }); // as upstream: SDKs want one
    this.#open = undefined;
    this.#emit("content_block_stop", { index: this.#blocks });
    this.#blocks++;
  }

  #delta(delta: object): void {
    const usage = { ...messageUsage(this.#usage), total_tokens: this.#usage.total_tokens };
    this.#emit("content_block_delta", { index: this.#blocks, delta, usage });
  }

  #emit(type: string, members: object): void {
    this.#sink.named(type, stringifyJson({ type, ...members }));
  }
}
