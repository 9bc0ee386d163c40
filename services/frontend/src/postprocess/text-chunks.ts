// The answer of a Text worker: OpenAI chunks, read, put into our form, and folded for unary answers.
//
//   item.data  {"id":"chatcmpl-x","object":"chat.completion.chunk","created","model","choices":[{"index","delta":{…},"finish_reason"}],["usage"]}
//   out        the same facts in the form of chunks.ts; id, created and model are the worker's, no usage is added
//
// Source: Dynamo 1.6.1; evidence: golden frontend text.*, wire worker-outcome-to-http (Text). A finish reason that OpenAI does
// not have fails the request, there as here.
import { AppError, stringifyJson } from "@mm-router/protocol";
import { z } from "zod";
import { ChatAggregate, CompletionAggregate, type ToolCallFragment } from "./aggregate.ts";
import type { ChatTeller } from "./chat-answer.ts";
import type { Answer, ItemReader } from "./relay.ts";
import type { EventSink } from "./streamed-answer.ts";
import type { Usage } from "./usage.ts";

const finishReason = z.enum(["stop", "length", "tool_calls", "content_filter", "function_call"]).nullish();
const usage = z.looseObject({ prompt_tokens: z.number(), completion_tokens: z.number(), total_tokens: z.number() }).nullish();
const envelope = { id: z.string(), created: z.number(), model: z.string(), usage };

const chatChunk = z.object({
  ...envelope,
  choices: z.array(
    z.object({
      index: z.number().int().nonnegative(),
      delta: z.object({
        content: z.string().nullish(),
        tool_calls: z.array(z.looseObject({ index: z.number().int().nonnegative() })).nullish(),
        role: z.string().nullish(),
        reasoning_content: z.string().nullish(),
        refusal: z.string().nullish(),
      }),
      finish_reason: finishReason,
      logprobs: z.looseObject({ content: z.array(z.unknown()).nullish() }).nullish(),
    }),
  ),
});

const completionChunk = z.object({
  ...envelope,
  choices: z.array(
    z.object({
      index: z.number().int().nonnegative(),
      text: z.string(),
      finish_reason: finishReason,
      logprobs: z.looseObject({}).nullish(),
    }),
  ),
});

type ChatChunk = z.output<typeof chatChunk>;
type CompletionChunk = z.output<typeof completionChunk>;
export type TextChunk = ChatChunk | CompletionChunk;
export type TextApi = "chat" | "completion";

export class TextReader implements ItemReader<TextChunk> {
  readonly done = false;
  readonly #schema: z.ZodType<TextChunk>;
  readonly #onChunk: () => void;

  constructor(api: TextApi, onChunk: () => void) {
    this.#schema = api === "chat" ? chatChunk : completionChunk;
    this.#onChunk = onChunk;
  }

  read(data: unknown): TextChunk {
    const result = this.#schema.safeParse(data);
    if (result.success) {
      this.#onChunk();
      return result.data;
    }
    throw new AppError("protocol_error", "the worker's item is no OpenAI chunk", { cause: result.error });
  }
}

export class StreamedText implements Answer<TextChunk> {
  readonly #sink: EventSink;
  readonly #formOf: (chunk: TextChunk) => object;

  constructor(sink: EventSink, api: TextApi) {
    this.#sink = sink;
    this.#formOf = (api === "chat" ? chatForm : completionForm) as (chunk: TextChunk) => object;
  }

  add(chunk: TextChunk): void {
    this.#sink.data(stringifyJson(this.#formOf(chunk)));
  }

  annotation(event: string, comments: readonly string[]): void {
    this.#sink.annotation(event, comments);
  }

  flush(): Promise<void> {
    return this.#sink.flush();
  }
}

export class UnaryText implements Answer<TextChunk> {
  readonly #api: TextApi;
  readonly #chat = new ChatAggregate();
  readonly #completion = new CompletionAggregate();
  #last: TextChunk | undefined;
  #usage: Usage | undefined;

  constructor(api: TextApi) {
    this.#api = api;
  }

  add(chunk: TextChunk): void {
    this.#last = chunk;
    this.#usage = (chunk.usage as Usage | null | undefined) ?? this.#usage;
    if (this.#api === "chat") addChat(this.#chat, chunk as ChatChunk);
    else addCompletion(this.#completion, chunk as CompletionChunk);
  }

  annotation(): void {
    // an answer in one piece has no place for events
  }

  async flush(): Promise<void> {
    // nothing goes out before the end
  }

  /** @throws AppError `worker_error` when nothing came */
  body(): object {
    if (this.#last === undefined) throw new AppError("worker_error", "the worker ended the stream without a chunk");
    const aggregate = this.#api === "chat" ? this.#chat : this.#completion;
    return aggregate.body(this.#last, { usage: this.#usage }, "reasoning_content");
  }
}

/** A chat's chunks as pieces, for APIs that have another form. */
export class ChatChunkPieces implements Answer<TextChunk> {
  readonly #teller: ChatTeller;
  usage: Usage | undefined;

  constructor(teller: ChatTeller) {
    this.#teller = teller;
  }

  add(chunk: TextChunk): void {
    this.usage = (chunk.usage as Usage | null | undefined) ?? this.usage;
    for (const { index, delta, finish_reason: finish } of (chunk as ChatChunk).choices) {
      const piece = {
        content: delta.content ?? undefined,
        reasoning: delta.reasoning_content ?? undefined,
        toolCalls: (delta.tool_calls as ToolCallFragment[] | null | undefined) ?? undefined,
        finishReason: finish === "function_call" ? "tool_calls" : (finish ?? undefined),
      } as const;
      this.#teller.tell(index, piece, { usage: this.usage });
    }
  }

  annotation(): void {
    // another API has no place for a worker's events
  }

  flush(): Promise<void> {
    return this.#teller.flush();
  }
}

function addChat(aggregate: ChatAggregate, { choices }: ChatChunk): void {
  for (const { index, delta, finish_reason: finish, logprobs } of choices) {
    aggregate.add(index, {
      content: delta.content ?? undefined,
      reasoning: delta.reasoning_content ?? undefined,
      toolCalls: (delta.tool_calls as ToolCallFragment[] | null | undefined) ?? undefined,
      finishReason: finish ?? undefined,
      logprobs: logprobs?.content ?? undefined,
    });
  }
}

function addCompletion(aggregate: CompletionAggregate, { choices }: CompletionChunk): void {
  for (const { index, text, finish_reason: finish } of choices) aggregate.add(index, { text, finishReason: finish ?? undefined });
}

function chatForm({ id, choices, created, model, usage: count }: ChatChunk): object {
  const ours = choices.map(({ index, delta, finish_reason: finish, logprobs }) => ({
    index,
    delta: {
      content: delta.content ?? undefined,
      tool_calls: delta.tool_calls ?? undefined,
      role: delta.role ?? undefined,
      reasoning_content: delta.reasoning_content ?? undefined,
      refusal: delta.refusal ?? undefined,
    },
    finish_reason: finish ?? null,
    logprobs: logprobs ?? null,
  }));
  return { id, choices: ours, created, model, object: "chat.completion.chunk", usage: count ?? undefined };
}

function completionForm({ id, choices, created, model, usage: count }: CompletionChunk): object {
  const ours = choices.map(({ index, text, finish_reason: finish, logprobs }) => ({
    text,
    index,
    logprobs: logprobs ?? undefined,
    finish_reason: finish ?? undefined,
  }));
  return { id, choices: ours, created, model, system_fingerprint: null, object: "text_completion", usage: count ?? null };
}
