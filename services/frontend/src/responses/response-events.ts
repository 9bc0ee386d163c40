// A streamed answer of /v1/responses: pieces in, OpenAI's named events out.
//
//   response.created · response.in_progress
//   response.output_item.added ─ content_part.added ─ output_text.delta… ─ output_text.done ─ content_part.done ─ output_item.done
//   response.completed | incomplete | failed · [DONE]
//
// Source: Dynamo 1.6.1 (responses/stream_converter); evidence: golden frontend resp.*.stream. Thoughts are an item of their own;
// 1.6.1 drops them.
// I1  Items keep the place in which they began; text after a call goes on in the message before it.
// I2  Items are closed at the end, calls before the message; thoughts when something else begins.
import type { AppError } from "@mm-router/protocol";
import { stringifyJson } from "@mm-router/protocol";
import type { ToolCallFragment } from "../postprocess/aggregate.ts";
import type { PieceExtras } from "../postprocess/chat-answer.ts";
import type { ChatPiece } from "../postprocess/chat-pieces.ts";
import type { AnswerIdentity } from "../postprocess/chunks.ts";
import type { FinishReason } from "../postprocess/choice-stream.ts";
import { mergedNvext, type NvextOut } from "../postprocess/nvext-fields.ts";
import type { EventSink } from "../postprocess/streamed-answer.ts";
import type { Usage } from "../postprocess/usage.ts";
import type { ChatStream } from "../http/chat-surface.ts";
import { streamErrorBody } from "../http/error-response.ts";
import { CallItem, MessageItem, type OutputItem, ReasoningItem } from "./output-items.ts";
import { incompleteReasonOf, outputLogprobs, type ResponseOutcome, responseObject, showsLogprobs } from "./response-object.ts";
import type { ResponsesRequest } from "./responses-request.ts";

export class ResponseEvents implements ChatStream {
  readonly #sink: EventSink;
  readonly #request: ResponsesRequest;
  readonly #identity: AnswerIdentity;
  readonly #items: OutputItem[] = [];
  #reasoning: ReasoningItem | undefined;
  #message: MessageItem | undefined;
  readonly #calls = new Map<number, CallItem>();
  #sequence = 0;
  #finish: FinishReason | undefined;
  #nvext: NvextOut | undefined;

  constructor(sink: EventSink, request: ResponsesRequest, identity: AnswerIdentity) {
    this.#sink = sink;
    this.#request = request;
    this.#identity = identity;
    this.#frame("response.created", { status: "in_progress", output: [] });
    this.#frame("response.in_progress", { status: "in_progress", output: [] });
  }

  tell(_index: number, { content, reasoning, toolCalls = [], finishReason }: ChatPiece, { logprobs, nvext }: PieceExtras): void {
    if (reasoning !== undefined && reasoning !== "") this.#think(reasoning);
    if (content !== undefined && content !== "") {
      const odds = showsLogprobs(this.#request.members) ? outputLogprobs(logprobs?.content) : [];
      this.#openMessage().add(content, odds);
    }
    for (const fragment of toolCalls) this.#call(fragment);
    this.#finish = finishReason ?? this.#finish;
    this.#nvext = mergedNvext(this.#nvext, nvext);
  }

  annotation(): void {
    // this API has no place for a worker's events
  }

  flush(): Promise<void> {
    return this.#sink.flush();
  }

  end(usage: Usage | undefined): void {
    const incompleteReason = incompleteReasonOf(this.#finish);
    const status = incompleteReason === undefined ? "completed" : "incomplete";
    this.#closeItems(status);
    this.#frame(`response.${status}`, { status, output: this.#output(), usage, incompleteReason, nvext: this.#nvext });
  }

  fail(failure: AppError): void {
    this.#closeItems("incomplete");
    const { message, code } = (streamErrorBody(failure) as { error: { message: string; code: number } }).error;
    const error = { code: code < 500 ? "invalid_prompt" : "server_error", message };
    this.#frame("response.failed", { status: "failed", output: this.#output(), error });
  }

  #think(text: string): void {
    this.#reasoning ??= this.#opened(new ReasoningItem(this.#items.length, this.#emit));
    this.#reasoning.add(text);
  }

  #openMessage(): MessageItem {
    this.#endThoughts();
    return (this.#message ??= this.#opened(new MessageItem(this.#items.length, this.#emit)));
  }

  #call({ index, id = "", function: part }: ToolCallFragment): void {
    this.#endThoughts();
    let call = this.#calls.get(index);
    if (call === undefined) {
      call = this.#opened(new CallItem(this.#items.length, this.#emit, { callId: id, name: part?.name ?? "" }));
      this.#calls.set(index, call);
    }
    call.add(part?.arguments ?? "");
  }

  #opened<T extends OutputItem>(item: T): T {
    this.#items.push(item);
    return item;
  }

  #endThoughts(): void {
    this.#reasoning?.close("completed");
    this.#reasoning = undefined;
  }

  /** Only the item that was written last can be cut. */
  #closeItems(status: "completed" | "incomplete"): void {
    const last = this.#message ?? [...this.#calls.values()].at(-1) ?? this.#reasoning;
    for (const item of [this.#reasoning, ...this.#calls.values(), this.#message]) item?.close(item === last ? status : "completed");
  }

  #output(): object[] {
    return this.#items.map((item) => item.object);
  }

  #frame(type: string, outcome: ResponseOutcome): void {
    this.#emit(type, { response: responseObject(this.#request, this.#identity, outcome) });
  }

  readonly #emit = (type: string, members: object): void => {
    this.#sink.named(type, stringifyJson({ type, sequence_number: this.#sequence++, ...members }));
  };
}
