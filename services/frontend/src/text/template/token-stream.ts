// The tokens of a template as a parser takes them.
import { syntaxError, type Token, type TokenKind } from "./lexer.ts";

/** Tags and brackets inside each other; minijinja's limit. */
const depthMax = 150;

export class TokenStream {
  readonly #tokens: readonly Token[];
  readonly #source: string;
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], source: string) {
    this.#tokens = tokens;
    this.#source = source;
  }

  peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  get position(): number {
    return this.#next;
  }

  hasNameSince(start: number, name: string): boolean {
    return this.#tokens.slice(start, this.#next).some(({ kind, text }) => kind === "name" && text === name);
  }

  take(expected: string): Token {
    const token = this.peek();
    if (token === undefined) this.fail(`unexpected end of input, expected ${expected}`);
    this.#next++;
    return token;
  }

  /** Whether the next token is this symbol or name. */
  is(kind: TokenKind, text: string): boolean {
    const token = this.peek();
    return token?.kind === kind && token.text === text;
  }

  isSymbol(text: string): boolean {
    return this.is("symbol", text);
  }

  skip(kind: TokenKind, text: string): boolean {
    const found = this.is(kind, text);
    if (found) this.#next++;
    return found;
  }

  skipSymbol(text: string): boolean {
    return this.skip("symbol", text);
  }

  skipName(text: string): boolean {
    return this.skip("name", text);
  }

  expectSymbol(text: string): void {
    if (!this.skipSymbol(text)) this.unexpected(`\`${text}\``);
  }

  expectName(text: string): void {
    if (!this.skipName(text)) this.unexpected(`\`${text}\``);
  }

  name(expected = "identifier"): string {
    const token = this.peek();
    if (token?.kind !== "name") this.unexpected(expected);
    this.#next++;
    return token.text;
  }

  /** Parses one level deeper. @throws AppError beyond the limit */
  nested<T>(parse: () => T): T {
    if (++this.#depth > depthMax) this.fail("template exceeds maximum recursion limits");
    const parsed = parse();
    this.#depth--;
    return parsed;
  }

  unexpected(expected: string): never {
    const token = this.peek();
    this.fail(`unexpected ${token === undefined ? "end of input" : `\`${token.text}\``}, expected ${expected}`);
  }

  fail(message: string): never {
    throw syntaxError(message, this.#source, this.peek()?.at ?? this.#source.length);
  }
}
