// A unary answer of a Tokens worker: parts in, one JSON object at the end.
import { type ChatAddition, ChatAggregate, CompletionAggregate } from "./aggregate.ts";
import type { ChoiceDelta } from "./choice-stream.ts";
import { chatLogprobs, completionLogprobs, type LogprobOptions } from "./logprobs.ts";
import { mergedNvext, type NvextFields, type NvextOut } from "./nvext-fields.ts";
import type { Answer } from "./relay.ts";
import type { TokenPart } from "./token-reader.ts";

export interface UnaryOptions {
  readonly logprobs: LogprobOptions | undefined;
  readonly nvext: NvextFields;
}

export class UnaryChat implements Answer<TokenPart> {
  readonly aggregate = new ChatAggregate();
  nvext: NvextOut | undefined;
  readonly #options: UnaryOptions;

  constructor(options: UnaryOptions) {
    this.#options = options;
  }

  add({ delta }: TokenPart): void {
    this.aggregate.add(delta.index, this.#additionOf(delta));
    this.nvext = mergedNvext(this.nvext, this.#options.nvext.of(delta));
  }

  annotation(): void {
    // an answer in one piece has no place for events
  }

  async flush(): Promise<void> {
    // nothing goes out before the end
  }

  #additionOf(delta: ChoiceDelta): ChatAddition {
    const logprobs = this.#options.logprobs && chatLogprobs(delta, this.#options.logprobs);
    return { content: delta.text, finishReason: delta.finishReason, logprobs: logprobs?.content };
  }
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
