// Reads the items of a Tokens worker: which choice, its text, its end, and the count of tokens.
//
// I1  A choice is known by its `index`; each has its own text and stops (Dynamo ≥ 1.4; 1.0 folds all into one).
// I2  Done when every choice asked for has ended and a rule of the request ended at least one: the engine, which does not
//     know that rule, would go on.
import { AppError, decodeEngineOutput } from "@mm-router/protocol";
import { type ChoiceDelta, type ChoiceOptions, ChoiceStream } from "./choice-stream.ts";
import type { ItemReader } from "./relay.ts";
import type { UsageCount } from "./usage.ts";

export interface TokenReaderOptions extends ChoiceOptions {
  /** Choices asked for. */
  readonly n: number;
  readonly usage: UsageCount;
  /** Whether the ids of the answer are kept. */
  readonly keepsIds: boolean;
  /** Told how many tokens of each item count. */
  readonly onTokens: (count: number) => void;
}

/** Part of an answer: a delta, and the count after it. */
export interface TokenPart {
  readonly delta: ChoiceDelta;
  readonly usage: UsageCount;
}

/** No request asks for more. */
const choicesMax = 128;

export class TokenReader implements ItemReader<TokenPart> {
  readonly #options: TokenReaderOptions;
  /** Of the first choice, as the worker gave them: where another worker would go on. */
  readonly receivedIds: number[] = [];
  readonly #choices = new Map<number, ChoiceStream>();
  #ended = 0;
  #stopped = false;

  constructor(options: TokenReaderOptions) {
    this.#options = options;
  }

  get done(): boolean {
    return this.#stopped && this.#ended >= this.#options.n;
  }

  read(data: unknown): TokenPart | undefined {
    const output = decodeEngineOutput(data);
    const index = output.index ?? 0;
    if (index === 0 && this.#options.keepsIds) this.receivedIds.push(...output.token_ids);
    const choice = this.#choice(index);
    const hadEnded = choice.ended;
    const delta = choice.push(output);
    if (delta === undefined) return undefined;
    if (choice.ended && !hadEnded) this.#ended++;
    this.#stopped ||= choice.stopped;
    const { usage, onTokens } = this.#options;
    onTokens(delta.tokenIds.length);
    usage.completionTokens += delta.tokenIds.length;
    if (output.completion_usage) usage.correct(output.completion_usage);
    usage.finished ||= delta.finishReason !== undefined;
    return { delta, usage };
  }

  #choice(index: number): ChoiceStream {
    const known = this.#choices.get(index);
    if (known !== undefined) return known;
    if (!(index >= 0 && index < choicesMax)) throw new AppError("protocol_error", `the worker answers choice ${index}`);
    const choice = new ChoiceStream(index, this.#options);
    this.#choices.set(index, choice);
    return choice;
  }
}
