// Ids and texts of all tokens: the model's and the added ones.
import { forEachOf, type Steps } from "../steps.ts";
import type { AddedToken } from "./tokenizer-file.ts";

export class Vocabulary {
  readonly #tokens: (string | undefined)[] = [];
  readonly #special = new Set<number>();
  readonly #specialTexts = new Set<string>();

  private constructor() {}

  static *of(model: ReadonlyMap<string, number>, added: readonly AddedToken[]): Steps<Vocabulary> {
    const vocabulary = new Vocabulary();
    yield* forEachOf(model, ([token, id]) => {
      vocabulary.#tokens[id] = token;
    });
    for (const { id, content, special } of added) {
      vocabulary.#tokens[id] = content;
      if (!special) continue;
      vocabulary.#special.add(id);
      vocabulary.#specialTexts.add(content);
    }
    return vocabulary;
  }

  /** One more than the greatest id. */
  get size(): number {
    return this.#tokens.length;
  }

  /** The token as the file writes it; undefined for an id that has none. */
  token(id: number): string | undefined {
    return this.#tokens[id];
  }

  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  isSpecialText(text: string): boolean {
    return this.#specialTexts.has(text);
  }
}
