// Cuts added tokens (special ones and others) out of a text.
//
//   "<|im_start|>user\nHi"  →  token <|im_start|> · text "user\nHi"
//
// Source: Hugging Face tokenizers 0.23, added_vocabulary.rs: leftmost, then longest match; `single_word` tokens not inside a
// word; `lstrip` and `rstrip` tokens take the white space beside them.
import type { AddedToken } from "./tokenizer-file.ts";

export interface Section {
  /** Offset in UTF-16 units. */
  readonly start: number;
  /** Text between added tokens; undefined for a token. */
  readonly text?: string;
  /** Id of an added token. */
  readonly id?: number;
}

interface TrieNode {
  token?: AddedToken;
  readonly next: Map<number, TrieNode>;
}

const wordBefore = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const wordAfter = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const space = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

export class AddedTokenSplitter {
  readonly #root: TrieNode = { next: new Map() };
  readonly #firstUnits: RegExp | undefined;

  /** @param contentOf the text that a token is found by */
  constructor(tokens: readonly AddedToken[], contentOf: (token: AddedToken) => string = ({ content }) => content) {
    for (const token of tokens) this.#add(contentOf(token), token);
    const units = [...this.#root.next.keys()].map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`);
    this.#firstUnits = units.length === 0 ? undefined : new RegExp(`[${units.join("")}]`, "g");
  }

  #add(content: string, token: AddedToken): void {
    if (content === "") return;
    let node = this.#root;
    for (let i = 0; i < content.length; i++) {
      const unit = content.charCodeAt(i);
      let next = node.next.get(unit);
      if (next === undefined) node.next.set(unit, (next = { next: new Map() }));
      node = next;
    }
    node.token = token;
  }

  /** Sections in order; together they are the text, but for white space that tokens take. */
  split(text: string): Section[] {
    const sections: Section[] = [];
    let end = 0;
    for (let match = this.#find(text, 0); match !== undefined; match = this.#find(text, match.end)) {
      const { token } = match;
      if (token.singleWord && isInsideWord(text, match.start, match.end)) continue;
      const start = token.lstrip ? Math.max(spaceStart(text, match.start), end) : match.start;
      if (end < start) sections.push({ start: end, text: text.slice(end, start) });
      sections.push({ start, id: token.id });
      end = token.rstrip ? spaceEnd(text, match.end) : match.end;
    }
    if (end < text.length) sections.push({ start: end, text: end === 0 ? text : text.slice(end) });
    return sections;
  }

  #find(text: string, from: number): { token: AddedToken; start: number; end: number } | undefined {
    const units = this.#firstUnits;
    if (units === undefined) return undefined;
    for (let at = from; ; at++) {
      units.lastIndex = at;
      const first = units.exec(text);
      if (first === null) return undefined;
      at = first.index;
      const found = this.#longestAt(text, at);
      if (found !== undefined) return { token: found.token, start: at, end: found.end };
    }
  }

  #longestAt(text: string, start: number): { token: AddedToken; end: number } | undefined {
    let longest: { token: AddedToken; end: number } | undefined;
    let node = this.#root.next.get(text.charCodeAt(start));
    for (let end = start + 1; node !== undefined; end++) {
      if (node.token !== undefined) longest = { token: node.token, end };
      node = end < text.length ? node.next.get(text.charCodeAt(end)) : undefined;
    }
    return longest;
  }
}

function isInsideWord(text: string, start: number, end: number): boolean {
  // two units are enough for one character
  return wordBefore.test(text.slice(Math.max(0, start - 2), start)) || wordAfter.test(text.slice(end, end + 2));
}

function spaceStart(text: string, from: number): number {
  let start = from;
  while (start > 0 && space.test(text[start - 1] ?? "")) start--;
  return start;
}

function spaceEnd(text: string, from: number): number {
  let end = from;
  while (end < text.length && space.test(text[end] ?? "")) end++;
  return end;
}
