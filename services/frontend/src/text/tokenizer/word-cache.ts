// Ids of words that were encoded before. Texts repeat their words: most of a prompt is found here.

/** Entries at which the cache starts anew; some 10 MB. */
const entriesMax = 65_536;
/** Longer words hardly come twice. UTF-16 units. */
const wordMax = 64;

export class WordCache {
  readonly #ids = new Map<string, readonly number[]>();

  get(word: string): readonly number[] | undefined {
    return this.#ids.get(word);
  }

  set(word: string, ids: readonly number[]): void {
    if (word.length > wordMax) return;
    if (this.#ids.size >= entriesMax) this.#ids.clear();
    this.#ids.set(ownCopy(word), ids);
  }
}

/** A piece of a text keeps the whole text in memory (V8); a piece of a short copy keeps only that. */
export function ownCopy(text: string): string {
  return ` ${text}`.slice(1);
}
