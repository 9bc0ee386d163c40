// Token ids as they arrive → text as it may be sent.
//
//   ids    … 5 of the prompt | 9707  11  | 58   236 …
//   text                       "Hi"  "," | held until the character is complete
//
// Each token is decoded together with the text before it, because what a token says depends on its neighbours: bytes make
// characters, and the first word after nothing loses its space. `window` is that neighbourhood: the tokens whose text was sent
// last, then those whose text is still held. Most tokens need no window: after a whole character they add their own text.
//
// Source: Dynamo 1.6.1 (backend.rs, tokenizers.rs), seen running; rules in text.md §6. Where 1.6.1 ends a choice with an error
// because the text of the window changed under what was sent, we go on at the next character.
// I1  The deltas of a choice are the text of its tokens, whatever the items they came in.
// I2  Held text comes out with the last item; what is no whole character then is U+FFFD.
import { byteOf, type Decoder } from "./decoder.ts";
import type { TokenTexts } from "./token-texts.ts";

/** Tokens of the prompt that the first generated token is decoded with. */
const promptTokens = 5;

export interface DetokenizerOptions {
  readonly promptIds: ArrayLike<number>;
  readonly skipSpecialTokens: boolean;
}

export class Detokenizer {
  readonly #texts: TokenTexts;
  readonly #decoder: Decoder;
  readonly #skipsSpecial: boolean;
  /** Tokens sent last, then tokens held. */
  #window: string[];
  /** How many of the window were sent. */
  #sent: number;
  /** Whether the sent part ends in a whole character and nothing is held. */
  #isWhole: boolean;

  constructor(texts: TokenTexts, { promptIds, skipSpecialTokens }: DetokenizerOptions) {
    this.#texts = texts;
    this.#decoder = texts.decoder;
    this.#skipsSpecial = skipSpecialTokens;
    this.#window = lastOf(promptIds, promptTokens).flatMap((id) => this.#shown(id) ?? []);
    this.#sent = this.#window.length;
    this.#isWhole = isWhole(this.#sentText());
  }

  /** @param last whether no more tokens come: what is held comes out */
  push(tokenIds: readonly number[], last: boolean): string {
    let text = "";
    for (const id of tokenIds) text += this.#pushToken(id);
    return last ? text + this.#release() : text;
  }

  #pushToken(id: number): string {
    const token = this.#shown(id);
    if (token === undefined) return "";
    const plain = this.#isWhole ? this.#texts.plain(id) : undefined;
    if (plain === undefined) return this.#pushToWindow(token);
    this.#window = [token];
    this.#sent = 1;
    return plain;
  }

  /** The token as the file writes it; undefined for one that gives no text. */
  #shown(id: number): string | undefined {
    const { vocabulary } = this.#texts;
    return this.#skipsSpecial && vocabulary.isSpecial(id) ? undefined : vocabulary.token(id);
  }

  #pushToWindow(token: string): string {
    this.#window.push(token);
    this.#isWhole = false;
    // A byte may be followed by another that changes what all of them mean.
    if (this.#decoder.hasByteTokens && byteOf(token) !== undefined) return "";
    const text = this.#decoder.decode(this.#window);
    return text.endsWith("\ufffd") ? "" : this.#send(text);
  }

  #release(): string {
    return this.#sent === this.#window.length ? "" : this.#send(this.#decoder.decode(this.#window));
  }

  /** What `text`, the text of the window, has beyond the part that was sent. */
  #send(text: string): string {
    const sentText = this.#sentText();
    const bytes = Buffer.byteLength(sentText);
    if (Buffer.byteLength(text) <= bytes) return "";
    this.#window = this.#window.slice(this.#sent);
    this.#sent = this.#window.length;
    this.#isWhole = isWhole(this.#sentText());
    return text.startsWith(sentText) ? text.slice(sentText.length) : afterBytes(text, bytes);
  }

  #sentText(): string {
    return this.#decoder.decode(this.#window.slice(0, this.#sent));
  }
}

function lastOf(ids: ArrayLike<number>, count: number): number[] {
  const start = Math.max(0, ids.length - count);
  return Array.from({ length: ids.length - start }, (_, index) => ids[start + index] as number);
}

function isWhole(text: string): boolean {
  return text !== "" && !text.includes("\ufffd");
}

/** What comes after so many bytes, from the beginning of the character that they end in. */
function afterBytes(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  let start = Math.min(bytes, encoded.length);
  while (start > 0 && isContinuation(encoded[start])) start--;
  return encoded.toString("utf8", start);
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte < 0xc0;
}
