// A chat answer of Tokens workers, told piece by piece: to an event stream, to a fold, or to another API's events.
//
//   part ─ shape (chat-pieces.ts) ─▶ pieces ─▶ teller
//
// I1  What stands beside the pieces (log probabilities, nvext) goes with the last piece of its item; while text is held back it
//     waits for the next one.
import { ChatShaper, type ChatPiece } from "./chat-pieces.ts";
import type { ChatForm } from "./chat-form.ts";
import type { ChunkExtras } from "./chunks.ts";
import { chatLogprobs, type ChatLogprobs, joinedChatLogprobs, type LogprobOptions } from "./logprobs.ts";
import { mergedNvext, type NvextFields, type NvextOut } from "./nvext-fields.ts";
import type { Answer } from "./relay.ts";
import type { TokenPart } from "./token-reader.ts";

/** What stands beside a piece; absent members were not asked for, or are not known. */
export interface PieceExtras extends ChunkExtras {
  readonly logprobs?: ChatLogprobs | undefined;
}

/** Gets the pieces of all choices in the order they came. */
export interface ChatTeller {
  tell(index: number, piece: ChatPiece, extras: PieceExtras): void;
  /** An event of the worker's own. */
  annotation(event: string, comments: readonly string[]): void;
  /** Resolves when the client takes more. */
  flush(): Promise<void>;
}

export interface ChatAnswerOptions {
  /** undefined: text passes as it is. */
  readonly form: ChatForm | undefined;
  /** Set when the client asked for log probabilities. */
  readonly logprobs: LogprobOptions | undefined;
  /** Running usage with every piece. */
  readonly continuousUsage: boolean;
  readonly nvext: NvextFields;
}

interface Waiting {
  readonly logprobs: ChatLogprobs | undefined;
  readonly nvext: NvextOut | undefined;
}

export class ChatAnswer implements Answer<TokenPart> {
  readonly #teller: ChatTeller;
  readonly #options: ChatAnswerOptions;
  readonly #shaper: ChatShaper | undefined;
  readonly #waiting = new Map<number, Waiting>();

  constructor(teller: ChatTeller, options: ChatAnswerOptions) {
    this.#teller = teller;
    this.#options = options;
    this.#shaper = options.form && new ChatShaper(options.form);
  }

  add({ delta, usage }: TokenPart): void {
    const { logprobs: odds, nvext: fields, continuousUsage } = this.#options;
    const logprobs = odds && chatLogprobs(delta, odds);
    const nvext = fields.of(delta);
    const { index, text, finishReason } = delta;
    if (this.#shaper === undefined) {
      const extras = { usage: continuousUsage ? usage.now() : undefined, logprobs, nvext };
      this.#teller.tell(index, { content: text === "" ? undefined : text, finishReason }, extras);
      return;
    }
    const { pieces, reasoningTokens } = this.#shaper.push(delta);
    usage.addReasoning(reasoningTokens);
    const before = this.#waiting.get(index);
    const waiting = { logprobs: joinedChatLogprobs(before?.logprobs, logprobs), nvext: mergedNvext(before?.nvext, nvext) };
    if (pieces.length > 0) this.#waiting.delete(index);
    else if (waiting.logprobs !== undefined || waiting.nvext !== undefined) this.#waiting.set(index, waiting); // I1
    for (const [at, piece] of pieces.entries()) {
      const isLast = at === pieces.length - 1;
      this.#teller.tell(index, piece, isLast ? { ...waiting, usage: continuousUsage ? usage.now() : undefined } : {});
    }
  }

  annotation(event: string, comments: readonly string[]): void {
    this.#teller.annotation(event, comments);
  }

  flush(): Promise<void> {
    return this.#teller.flush();
  }
}
