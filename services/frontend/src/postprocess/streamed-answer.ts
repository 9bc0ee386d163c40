// A streamed answer of a Tokens worker: parts in, server-sent events out.
//
// I1  Chat: each choice's first item gives a chunk even without text, since it carries the role. Later items give one when they
//     have text, a finish reason, log probabilities or usage to tell. Completions have no role, so only the latter holds.
import { type AnswerIdentity, ChatChunks, type ChunkExtras, CompletionChunks } from "./chunks.ts";
import { chatLogprobs, completionLogprobs, type LogprobOptions } from "./logprobs.ts";
import type { NvextFields } from "./nvext-fields.ts";
import type { Answer } from "./relay.ts";
import type { TokenPart } from "./token-reader.ts";
import type { Usage } from "./usage.ts";

/** Where events go; http/sse.ts. */
export interface EventSink {
  /** One `data:` event. */
  data(json: string): void;
  /** One `event:` with comment lines. */
  annotation(event: string, comments: readonly string[]): void;
  /** Sends what was gathered; resolves when the client takes more. */
  flush(): Promise<void>;
}

export interface AnswerOptions {
  readonly identity: AnswerIdentity;
  /** Set when the client asked for log probabilities. */
  readonly logprobs: LogprobOptions | undefined;
  /** Running usage on every chunk. */
  readonly continuousUsage: boolean;
  readonly nvext: NvextFields;
}

abstract class StreamedAnswer implements Answer<TokenPart> {
  protected readonly sink: EventSink;
  protected readonly options: AnswerOptions;

  constructor(sink: EventSink, options: AnswerOptions) {
    this.sink = sink;
    this.options = options;
  }

  add(part: TokenPart): void {
    const extras = { usage: this.options.continuousUsage ? part.usage.now() : undefined, nvext: this.options.nvext.of(part.delta) };
    const chunk = this.chunkOf(part, extras);
    if (chunk !== undefined) this.sink.data(chunk);
  }

  annotation(event: string, comments: readonly string[]): void {
    this.sink.annotation(event, comments);
  }

  flush(): Promise<void> {
    return this.sink.flush();
  }

  protected abstract chunkOf(part: TokenPart, extras: ChunkExtras): string | undefined;

  /** The chunk after all choices. */
  abstract usage(usage: Usage): void;
}

export class StreamedChat extends StreamedAnswer {
  readonly #chunks: ChatChunks;
  readonly #begun = new Set<number>();

  constructor(sink: EventSink, options: AnswerOptions) {
    super(sink, options);
    this.#chunks = new ChatChunks(options.identity);
  }

  protected override chunkOf({ delta }: TokenPart, extras: ChunkExtras): string | undefined {
    const { index, text, finishReason } = delta;
    const logprobs = this.options.logprobs && chatLogprobs(delta, this.options.logprobs);
    const role = !this.#begun.has(index);
    if (role) this.#begun.add(index);
    const tells =
      role ||
      text !== "" ||
      finishReason !== undefined ||
      logprobs !== undefined ||
      extras.usage !== undefined ||
      extras.nvext !== undefined;
    return tells ? this.#chunks.choice(index, { content: text, role }, finishReason, logprobs, extras) : undefined;
  }

  override usage(usage: Usage): void {
    this.sink.data(this.#chunks.usage(usage));
  }
}

export class StreamedCompletion extends StreamedAnswer {
  readonly #chunks: CompletionChunks;
  readonly #firstIndex: number;

  /** @param firstIndex index of this prompt's first choice among those of all prompts */
  constructor(sink: EventSink, options: AnswerOptions, firstIndex: number) {
    super(sink, options);
    this.#chunks = new CompletionChunks(options.identity);
    this.#firstIndex = firstIndex;
  }

  protected override chunkOf({ delta }: TokenPart, extras: ChunkExtras): string | undefined {
    const { index, text, finishReason } = delta;
    const logprobs = this.options.logprobs && completionLogprobs(delta, this.options.logprobs);
    const tells =
      text !== "" || finishReason !== undefined || logprobs !== undefined || extras.usage !== undefined || extras.nvext !== undefined;
    return tells ? this.#chunks.choice(this.#firstIndex + index, text, finishReason, logprobs, extras) : undefined;
  }

  override usage(usage: Usage): void {
    this.sink.data(this.#chunks.usage(usage));
  }
}
