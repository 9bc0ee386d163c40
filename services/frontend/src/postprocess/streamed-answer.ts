// A streamed answer: pieces and parts in, server-sent events out.
//
// I1  Chat: each choice's first piece gives a chunk even without text, since it carries the role. Later ones give one when they
//     have something to tell. Completions have no role, so only the latter holds.
import type { ChatTeller, PieceExtras } from "./chat-answer.ts";
import type { ChatPiece } from "./chat-pieces.ts";
import { type AnswerIdentity, type ChatChunks, CompletionChunks } from "./chunks.ts";
import { completionLogprobs, type LogprobOptions } from "./logprobs.ts";
import type { NvextFields } from "./nvext-fields.ts";
import type { Answer } from "./relay.ts";
import type { TokenPart } from "./token-reader.ts";

/** Where events go; http/sse.ts. */
export interface EventSink {
  /** One `data:` event. */
  data(json: string): void;
  /** One event with a name and data. */
  named(event: string, json: string): void;
  /** One `event:` with comment lines. */
  annotation(event: string, comments: readonly string[]): void;
  /** Sends what was gathered; resolves when the client takes more. */
  flush(): Promise<void>;
}

export class StreamedChat implements Pick<ChatTeller, "tell"> {
  readonly #sink: EventSink;
  readonly #chunks: ChatChunks;
  readonly #begun = new Set<number>();

  constructor(sink: EventSink, chunks: ChatChunks) {
    this.#sink = sink;
    this.#chunks = chunks;
  }

  tell(index: number, piece: ChatPiece, extras: PieceExtras): void {
    const role = !this.#begun.has(index);
    if (role) this.#begun.add(index);
    if (role || tells(piece) || extras.logprobs !== undefined || extras.usage !== undefined || extras.nvext !== undefined) {
      this.#sink.data(this.#chunks.choice(index, piece, role, extras));
    }
  }
}

function tells({ content, reasoning, toolCalls, finishReason }: ChatPiece): boolean {
  return content !== undefined || finishReason !== undefined || reasoning !== undefined || toolCalls !== undefined;
}

export interface StreamedCompletionOptions {
  readonly identity: AnswerIdentity;
  /** Set when the client asked for log probabilities. */
  readonly logprobs: LogprobOptions | undefined;
  /** Running usage on every chunk. */
  readonly continuousUsage: boolean;
  readonly nvext: NvextFields;
  /** Index of this prompt's first choice among those of all prompts. */
  readonly firstIndex: number;
}

export class StreamedCompletion implements Answer<TokenPart> {
  readonly #sink: EventSink;
  readonly #options: StreamedCompletionOptions;
  readonly #chunks: CompletionChunks;

  constructor(sink: EventSink, options: StreamedCompletionOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#chunks = new CompletionChunks(options.identity);
  }

  add({ delta, usage: count }: TokenPart): void {
    const { index, text, finishReason } = delta;
    const { logprobs: odds, firstIndex, continuousUsage, nvext: fields } = this.#options;
    const logprobs = odds && completionLogprobs(delta, odds);
    const usage = continuousUsage ? count.now() : undefined;
    const nvext = fields.of(delta);
    if (text === "" && finishReason === undefined && logprobs === undefined && usage === undefined && nvext === undefined) return;
    this.#sink.data(this.#chunks.choice(firstIndex + index, text, finishReason, logprobs, { usage, nvext }));
  }

  annotation(event: string, comments: readonly string[]): void {
    this.#sink.annotation(event, comments);
  }

  flush(): Promise<void> {
    return this.#sink.flush();
  }
}
