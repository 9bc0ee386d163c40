// A unary answer of a Tokens worker: parts in, one JSON object at the end.
import { ChatAggregate, type CompletionAggregate } from "./aggregate.ts";
import type { ChatTeller, PieceExtras } from "./chat-answer.ts";
import type { ChatPiece } from "./chat-pieces.ts";
import { completionLogprobs, type LogprobOptions } from "./logprobs.ts";
import { mergedNvext, type NvextFields, type NvextOut } from "./nvext-fields.ts";
import type { Answer } from "./relay.ts";
import type { TokenPart } from "./token-reader.ts";

export class FoldedChat implements ChatTeller {
  readonly aggregate = new ChatAggregate();
  nvext: NvextOut | undefined;

  tell(index: number, piece: ChatPiece, { logprobs, nvext }: PieceExtras): void {
    this.aggregate.add(index, { ...piece, logprobs: logprobs?.content });
    this.nvext = mergedNvext(this.nvext, nvext);
  }

  annotation(): void {
    // an answer in one piece has no place for events
  }

  async flush(): Promise<void> {
    // nothing goes out before the end
  }
}

export interface UnaryOptions {
  readonly logprobs: LogprobOptions | undefined;
  readonly nvext: NvextFields;
}

export class UnaryCompletion implements Answer<TokenPart> {
  readonly #aggregate: CompletionAggregate;
  nvext: NvextOut | undefined;
  readonly #options: UnaryOptions;
  readonly #firstIndex: number;

  /** @param aggregate shared by all prompts of the request @param firstIndex index of this prompt's first choice among those of all prompts */
  constructor(aggregate: CompletionAggregate, options: UnaryOptions, firstIndex: number) {
    this.#aggregate = aggregate;
    this.#options = options;
    this.#firstIndex = firstIndex;
  }

  add({ delta }: TokenPart): void {
    const logprobs = this.#options.logprobs && completionLogprobs(delta, this.#options.logprobs);
    this.#aggregate.add(this.#firstIndex + delta.index, { text: delta.text, finishReason: delta.finishReason, logprobs });
    this.nvext = mergedNvext(this.nvext, this.#options.nvext.of(delta));
  }

  annotation(): void {
    // an answer in one piece has no place for events
  }

  async flush(): Promise<void> {
    // nothing goes out before the end
  }
}
