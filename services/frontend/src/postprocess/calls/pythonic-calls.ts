// Calls written as Python: `[get_weather(location="Paris", n=2), f()]`.
//
//   block   `[` name `(` … to the bracket that closes it
//   values  strings in either quote, numbers, True, False, None, lists, tuples, dicts
//
// Source: Dynamo 1.6.1, seen running (ids `call-1`, `call-2`, …; arguments as compact JSON); evidence: golden frontend tool.pythonic.*.
import { type LosslessJson, parseJsonLossless, stringifyJsonLossless } from "@mm-router/protocol";
import type { Block, CallFormat, ParsedCall } from "./call-format.ts";

const name = "[A-Za-z_][\\w.]*";
const blockBegins = new RegExp(`\\[\\s*${name}\\(`);
const blockMayBegin = new RegExp(`\\[\\s*(?:${name})?$`);

export const pythonic: CallFormat = {
  markers: [],
  newId: (index) => `call-${index + 1}`,
  blockStart: (text) => {
    const whole = text.search(blockBegins);
    if (whole >= 0) return { at: whole, certain: true };
    const held = text.search(blockMayBegin);
    return held < 0 ? undefined : { at: held, certain: false };
  },
  readBlock: (text, last): Block => {
    if (!last && !text.includes("]")) return { kind: "open" };
    const reader = new PythonReader(text);
    try {
      const calls = reader.calls();
      return { kind: "calls", calls, length: reader.at };
    } catch (error) {
      if (!(error instanceof NoPython)) throw error;
      if (error.atEnd && !last) return { kind: "open" };
      return { kind: "broken", length: last ? text.length : 1 };
    }
  },
};

/** The text is no list of calls, or ends within one. */
class NoPython extends Error {
  override readonly name = "NoPython";
  readonly atEnd: boolean;

  constructor(atEnd: boolean) {
    super(atEnd ? "ends within a call" : "is no call");
    this.atEnd = atEnd;
  }
}

const keywords: Readonly<Record<string, LosslessJson>> = { True: true, False: false, None: null, true: true, false: false, null: null };
const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", "\n": "" };

class PythonReader {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  calls(): ParsedCall[] {
    this.#expect("[");
    return this.#until("]", () => this.#call());
  }

  #call(): ParsedCall {
    const called = this.#match(/[A-Za-z_][\w.]*/y);
    this.#expect("(");
    const given = this.#until(")", (): [string, LosslessJson] => {
      const parameter = this.#match(/[A-Za-z_]\w*/y);
      this.#expect("=");
      return [parameter, this.#value()];
    });
    return { name: called, arguments: stringifyJsonLossless(new Map(given)) };
  }

  #value(): LosslessJson {
    this.#skip();
    const char = this.#text[this.at];
    if (char === '"' || char === "'") return this.#string(char);
    if (char === "[" || char === "(") {
      this.at++;
      return this.#until(char === "[" ? "]" : ")", () => this.#value());
    }
    if (char === "{") return this.#dict();
    const word = this.#match(/[^\s,()[\]{}=:'"]+/y);
    if (word in keywords) return keywords[word]!;
    if (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(word)) return parseJsonLossless(word);
    throw new NoPython(this.at >= this.#text.length);
  }

  #dict(): LosslessJson {
    this.#expect("{");
    const members = this.#until("}", (): [string, LosslessJson] => {
      const key = this.#value();
      this.#expect(":");
      return [typeof key === "string" ? key : stringifyJsonLossless(key), this.#value()];
    });
    return new Map(members);
  }

  #string(quote: string): string {
    let out = "";
    for (this.at++; this.at < this.#text.length; this.at++) {
      const char = this.#text[this.at]!;
      if (char === quote) {
        this.at++;
        return out;
      }
      if (char !== "\\") out += char;
      else {
        const next = this.#text[++this.at] ?? "";
        out += escapes[next] ?? (/["'\\]/.test(next) ? next : `\\${next}`);
      }
    }
    throw new NoPython(true);
  }

  /** Items up to a closing bracket, commas between them. */
  #until<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    for (;;) {
      this.#skip();
      if (this.#text[this.at] === close) {
        this.at++;
        return items;
      }
      items.push(item());
      this.#skip();
      if (this.#text[this.at] === ",") this.at++;
      else if (this.#text[this.at] !== close) throw new NoPython(this.at >= this.#text.length);
    }
  }

  #expect(char: string): void {
    this.#skip();
    if (this.#text[this.at] !== char) throw new NoPython(this.at >= this.#text.length);
    this.at++;
  }

  #match(pattern: RegExp): string {
    this.#skip();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw new NoPython(this.at >= this.#text.length);
    this.at += found.length;
    return found;
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.at] ?? "")) this.at++;
  }
}
