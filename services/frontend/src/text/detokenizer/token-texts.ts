// The text of each token, worked out once.
import type { Vocabulary } from "../tokenizer/vocabulary.ts";
import { tokenBytes } from "../tokenizer/byte-alphabet.ts";
import { byteOf, type Decoder } from "./decoder.ts";

export interface TokenText {
  /** The token decoded alone; U+FFFD for half a character. */
  readonly text: string;
  /** The bytes that it stands for, also of half a character. */
  readonly bytes: Uint8Array;
}

export class TokenTexts {
  readonly vocabulary: Vocabulary;
  readonly decoder: Decoder;
  /** null: not plain. */
  readonly #plain: (string | null | undefined)[] = [];

  constructor(vocabulary: Vocabulary, decoder: Decoder) {
    this.vocabulary = vocabulary;
    this.decoder = decoder;
  }

  /** The text that the token adds after any whole text; undefined where that depends on its neighbours, or is nothing. */
  plain(id: number): string | undefined {
    const known = this.#plain[id];
    if (known !== undefined) return known ?? undefined;
    const token = this.vocabulary.token(id);
    if (token === undefined) return undefined;
    const text = this.#plainText(token);
    this.#plain[id] = text ?? null;
    return text;
  }

  #plainText(token: string): string | undefined {
    if (this.decoder.hasByteTokens && byteOf(token) !== undefined) return undefined;
    const text = this.decoder.decode(["a", token]).slice(1);
    return text === "" || text.includes("\ufffd") ? undefined : text;
  }

  /** For log probabilities; an id without token gives nothing. */
  alone(id: number): TokenText {
    const token = this.vocabulary.token(id);
    if (token === undefined) return { text: "", bytes: new Uint8Array() };
    const text = this.decoder.decode([token]);
    if (this.decoder.isByteLevel) return { text, bytes: tokenBytes(token) };
    const byte = this.decoder.hasByteTokens ? byteOf(token) : undefined;
    return { text, bytes: byte === undefined ? Buffer.from(text) : Uint8Array.of(byte) };
  }
}
