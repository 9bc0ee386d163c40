// Template source → tokens.
//
//   Hello {{- name }}!      data "Hello" · {{ · name "name" · }} · data "!"
//   {% raw %}…{% endraw %}  data, comments vanish
//
// Source: minijinja 2.24 compiler/lexer.rs with trim_blocks and lstrip_blocks, as Dynamo sets them: the line break
// after a block tag goes, and so does the space before a block tag that stands first in its line. `-` cuts all white
// space on its side, `+` keeps it. One line break at the end of the source goes.
import { AppError } from "@mm-router/protocol";
import { isWhiteSpace, trimEnd, trimStart } from "./code-points.ts";

export type TokenKind = "data" | "name" | "text" | "integer" | "float" | "symbol";

export interface Token {
  readonly kind: TokenKind;
  /** The data, name, unescaped text or symbol; digits of a number. */
  readonly text: string;
  readonly number?: bigint | number;
  /** Where it begins in the source, in UTF-16 units. */
  readonly at: number;
}

/** A template that cannot be read; the model that has it is refused. */
export function syntaxError(message: string, source: string, at: number): AppError {
  const line = source.slice(0, at).split("\n").length;
  return new AppError("configuration", `chat template, line ${line}: ${message}`);
}

export function tokenize(source: string): Token[] {
  return new Lexer(source).tokens();
}

type WhiteSpaceControl = "" | "-" | "+";

const startMarker = /\{(\{|%|#)([-+]?)/g;
const endings = { "{{": "}}", "{%": "%}" } as const;

const symbols = ["//", "**", "==", "!=", ">=", "<=", ..."+-*/%.,:~|=><()[]{}"];
const symbolPattern = new RegExp(symbols.map((symbol) => symbol.replace(/[^\w]/g, String.raw`\$&`)).join("|"), "y");
const namePattern = /[A-Za-z_][A-Za-z0-9_]*/y;
const spacePattern = /[\t\n\f\r ]+/y;
const textPattern = /"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'/y;
const radixPattern = /0[xX][0-9a-fA-F_]*|0[oO][0-9_]*|0[bB][0-9_]*/y;
// A point belongs to the number unless a name follows it: 1.5, 1., but 1.x
const numberPattern = /[0-9][0-9_]*(?:\.(?![A-DF-Za-df-z_]|[eE](?![-+0-9]))[0-9_]*)?(?:[eE][-+]?[0-9_]*)?/y;

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #trimsNextData = false;
  /** Brackets open inside a tag: `}}` does not end it while there are any. */
  #open = 0;

  constructor(source: string) {
    this.#source = source.replace(/\n$/, "").replace(/\r$/, "");
  }

  tokens(): Token[] {
    while (this.#at < this.#source.length) this.#dataAndTag();
    return this.#tokens;
  }

  #push(kind: TokenKind, text: string, number?: bigint | number): void {
    this.#tokens.push({ kind, text, at: this.#at, ...(number === undefined ? {} : { number }) });
  }

  #fail(message: string): never {
    throw syntaxError(message, this.#source, this.#at);
  }

  /** Data up to the next tag, and that tag. */
  #dataAndTag(): void {
    if (this.#trimsNextData) this.#at = this.#source.length - trimStart(this.#source.slice(this.#at)).length;
    this.#trimsNextData = false;
    startMarker.lastIndex = this.#at;
    const marker = startMarker.exec(this.#source);
    const end = marker?.index ?? this.#source.length;
    const data = this.#dataBefore(end, marker?.[1] ?? "", (marker?.[2] ?? "-+") as WhiteSpaceControl);
    if (data !== "") this.#push("data", data);
    this.#at = end;
    if (marker !== null) this.#tag(`{${marker[1]}`, marker[0].length);
  }

  #dataBefore(end: number, marker: string, control: WhiteSpaceControl): string {
    const data = this.#source.slice(this.#at, end);
    if (control === "-") return trimEnd(data);
    return control === "" && marker !== "{" && this.#standsFirst(end) ? withoutMargin(data) : data;
  }

  /** Whether only space stands before `end` in its line. */
  #standsFirst(end: number): boolean {
    for (let i = end - 1; i >= 0; i--) {
      const character = this.#source[i] ?? "";
      if (character === "\n" || character === "\r") return true;
      if (!isWhiteSpace(character)) return false;
    }
    return true;
  }

  #tag(marker: string, length: number): void {
    if (marker === "{#") return this.#comment(length);
    const raw = marker === "{%" ? this.#basicTag(this.#at + length, "raw") : undefined;
    if (raw !== undefined) return this.#rawBlock(raw.end, raw.control);
    this.#push("symbol", marker);
    this.#at += length;
    this.#expression(endings[marker as keyof typeof endings]);
  }

  #comment(length: number): void {
    const end = this.#source.indexOf("#}", this.#at + length);
    if (end < 0) this.#fail("unexpected end of comment");
    const control = this.#source[Math.max(end - 1, this.#at + length)];
    this.#at = end + 2;
    this.#afterBlock(control === "-" || control === "+" ? control : "");
  }

  /** The rest of a tag that is only a word, after its marker. */
  #basicTag(start: number, word: string): { end: number; control: WhiteSpaceControl } | undefined {
    const pattern = new RegExp(String.raw`[\t\n\f\r ]*${word}[\t\n\f\r ]*([-+]?)%\}`, "y");
    pattern.lastIndex = start;
    const match = pattern.exec(this.#source);
    return match === null ? undefined : { end: pattern.lastIndex, control: match[1] as WhiteSpaceControl };
  }

  #rawBlock(start: number, control: WhiteSpaceControl): void {
    for (let at = this.#source.indexOf("{%", start); at >= 0; at = this.#source.indexOf("{%", at + 2)) {
      const before = /[-+]/.exec(this.#source[at + 2] ?? "")?.[0] ?? "";
      const tag = this.#basicTag(at + 2 + before.length, "endraw");
      if (tag === undefined) continue;
      const data = rawData(this.#source.slice(start, at), control, before as WhiteSpaceControl);
      if (data !== "") this.#push("data", data);
      this.#at = tag.end;
      return this.#afterBlock(tag.control);
    }
    this.#fail("unexpected end of raw block");
  }

  #afterBlock(control: WhiteSpaceControl): void {
    if (control === "-") this.#trimsNextData = true;
    if (control !== "") return;
    if (this.#source[this.#at] === "\r") this.#at++;
    if (this.#source[this.#at] === "\n") this.#at++;
  }

  /** Tokens of a tag up to and with its end. */
  #expression(ending: "}}" | "%}"): void {
    while (this.#at < this.#source.length) {
      if (this.#take(spacePattern) !== undefined) continue;
      if (this.#open === 0 && this.#tagEnd(ending)) return;
      this.#token();
    }
  }

  #tagEnd(ending: "}}" | "%}"): boolean {
    const control = /[-+]/.exec(this.#source[this.#at] ?? "")?.[0] ?? "";
    if (!this.#source.startsWith(ending, this.#at + control.length)) return false;
    this.#push("symbol", ending);
    this.#at += control.length + ending.length;
    if (control === "-") this.#trimsNextData = true;
    else if (control === "" && ending === "%}") this.#afterBlock("");
    return true;
  }

  #token(): void {
    const first = this.#source[this.#at] ?? "";
    if (first === '"' || first === "'") return this.#textToken();
    if (first >= "0" && first <= "9") return this.#numberToken();
    const symbol = this.#take(symbolPattern);
    if (symbol !== undefined) {
      if ("([{".includes(symbol)) this.#open++;
      if (")]}".includes(symbol)) this.#open--;
      return this.#push("symbol", symbol);
    }
    const name = this.#take(namePattern) ?? this.#fail("unexpected character");
    this.#push("name", name);
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match[0];
  }

  #textToken(): void {
    const literal = this.#take(textPattern) ?? this.#fail("unexpected end of string");
    const text = unescaped(literal.slice(1, -1)) ?? this.#fail("bad string escape");
    this.#push("text", text);
  }

  #numberToken(): void {
    const literal = this.#take(radixPattern) ?? this.#take(numberPattern) ?? "";
    if (literal.endsWith("_")) this.#fail("'_' may not occur at end of number");
    const digits = literal.replaceAll("_", "");
    if (/^[0-9]+$/.test(digits) || /^0[xXoObB]/.test(digits)) return this.#integerToken(digits);
    if (!/^[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?$/.test(digits)) this.#fail("invalid float");
    this.#push("float", digits, Number(digits));
  }

  #integerToken(digits: string): void {
    if (!/^(?:[0-9]+|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/.test(digits)) this.#fail("invalid integer");
    const value = BigInt(digits);
    if (value >= 1n << 128n) this.#fail("invalid integer (too large)");
    this.#push("integer", digits, value);
  }
}

/** Without the space after the last line break, if nothing but space is there. */
function withoutMargin(data: string): string {
  let end = data.length;
  while (end > 0 && data[end - 1] !== "\n" && data[end - 1] !== "\r" && isWhiteSpace(data[end - 1] ?? "")) end--;
  return end === 0 || data[end - 1] === "\n" ? data.slice(0, end) : data;
}

function rawData(data: string, start: WhiteSpaceControl, end: WhiteSpaceControl): string {
  let result = data;
  if (start === "") result = result.replace(/^\r?\n?/, "");
  if (start === "-") result = trimStart(result);
  if (end === "") return withoutMargin(result);
  return end === "-" ? trimEnd(result) : result;
}

const simpleEscapes: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
};

/** The text of a literal; undefined for a bad escape. An escape that is none stays as it is. */
function unescaped(literal: string): string | undefined {
  let isBad = false;
  const text = literal.replace(/\\(?:u([\s\S]{0,4})|x([\s\S]{0,2})|([0-7]{1,3})|([\s\S]))/g, (_, unicode, byte, octal, simple) => {
    if (simple !== undefined) return simpleEscapes[simple] ?? `\\${simple}`;
    const code = octal === undefined ? (hexCode(unicode, 4) ?? hexCode(byte, 2)) : Number.parseInt(octal, 8);
    if (code === undefined || (octal !== undefined && code > 255)) isBad = true;
    return String.fromCharCode(code ?? 0);
  });
  return isBad || !text.isWellFormed() ? undefined : text;
}

function hexCode(digits: string | undefined, width: number): number | undefined {
  return digits?.length === width && /^[0-9a-fA-F]+$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
}
