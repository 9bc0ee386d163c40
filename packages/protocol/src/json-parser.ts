// Recursive descent over one JSON text. What it accepts and gives is told in json.ts (I1 … I5), the public door.
import { AppError } from "./errors.ts";

/** A number written with a point or an exponent (or `-0`): its value, and its text. */
export class JsonFloat {
  readonly value: number;
  readonly text: string;

  constructor(value: number, text: string) {
    this.value = value;
    this.text = text;
  }
}

// Character codes, named as they read in JSON.
const quoteCode = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const nine = 0x39;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** 15 digits always fit in 2^53: no need to look at their value. */
const safeDigits = 15;
/** u64::MAX has 20 digits, i64::MIN 19 and a sign. */
const integerDigitsMax = 20;
const i64Min = -(1n << 63n);
const u64Max = (1n << 64n) - 1n;

/** Characters of a string that stand for themselves; matches always, so that lastIndex is set. */
const plainText = /[^"\\\u0000-\u001f]*/y;

const escapes: Readonly<Record<string, string>> = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

export interface ParserLimits {
  readonly depthMax?: number;
  readonly duplicates?: "last" | "error";
}

/** serde_json's recursion limit. */
const depthMaxDefault = 128;

/** One text; `at` is the next unread character. */
export class JsonParser {
  private readonly text: string;
  private readonly depthMax: number;
  private readonly refuseDuplicates: boolean;
  private readonly lossless: boolean;
  private at = 0;
  private depth = 0;

  constructor(text: string, limits: ParserLimits, lossless: boolean) {
    this.text = text;
    this.depthMax = limits.depthMax ?? depthMaxDefault;
    this.refuseDuplicates = limits.duplicates === "error";
    this.lossless = lossless;
  }

  document(): unknown {
    const value = this.value(this.next());
    this.next();
    if (this.at < this.text.length) this.fail("text after the value");
    return value;
  }

  /** Skips white space; the code of the next character (NaN at the end). */
  private next(): number {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code > 0x20 || (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09)) return code;
      this.at++;
    }
  }

  /** The value that starts with `code` at `at`. */
  private value(code: number): unknown {
    if (code >= zero && code <= nine) return this.number();
    if (code === quoteCode) return this.string();
    if (code === openBrace) return this.lossless ? this.map() : this.object();
    if (code === openBracket) return this.array();
    if (code === minus) return this.number();
    if (this.text.startsWith("null", this.at)) return this.word(4, null);
    if (this.text.startsWith("true", this.at)) return this.word(4, true);
    if (this.text.startsWith("false", this.at)) return this.word(5, false);
    return this.fail(Number.isNaN(code) ? "the text ends too early" : "unexpected character");
  }

  private word<T>(length: number, value: T): T {
    this.at += length;
    return value;
  }

  private array(): unknown[] {
    const items: unknown[] = [];
    this.enter();
    this.shortIntegers(items);
    let code = this.next();
    if (code !== closeBracket || items.length > 0) {
      for (;;) {
        items.push(this.value(code));
        code = this.next();
        if (code !== comma) break;
        this.at++;
        code = this.next();
      }
      if (code !== closeBracket) this.fail("expected , or ]");
    }
    this.leave();
    return items;
  }

  /** Takes `1,22,333,` as far as it goes (a value must follow): token ids are most of the bytes we parse, and this reads them three times faster. */
  private shortIntegers(items: unknown[]): void {
    const text = this.text;
    let at = this.at;
    for (;;) {
      let end = at;
      let value = 0;
      let code = text.charCodeAt(end);
      while (code >= zero && code <= nine) {
        value = value * 10 + (code - zero);
        code = text.charCodeAt(++end);
      }
      const digits = end - at;
      const isPlain = code === comma && (digits === 1 || (digits > 1 && digits <= safeDigits && text.charCodeAt(at) !== zero));
      if (!isPlain) break;
      items.push(value);
      at = end + 1;
    }
    this.at = at;
  }

  private object(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.members((name, value) => {
      if (this.refuseDuplicates && Object.hasOwn(object, name)) this.fail(`duplicate member ${name}`);
      // I3: an assignment would set the prototype
      if (name === "__proto__") Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
      else object[name] = value;
    });
    return object;
  }

  private map(): Map<string, unknown> {
    const map = new Map<string, unknown>();
    this.members((name, value) => {
      if (this.refuseDuplicates && map.has(name)) this.fail(`duplicate member ${name}`);
      map.set(name, value);
    });
    return map;
  }

  private members(add: (name: string, value: unknown) => void): void {
    this.enter();
    let code = this.next();
    if (code !== closeBrace) {
      for (;;) {
        if (code !== quoteCode) this.fail("expected a member name");
        const name = this.string();
        if (this.next() !== colon) this.fail("expected :");
        this.at++;
        add(name, this.value(this.next()));
        code = this.next();
        if (code !== comma) break;
        this.at++;
        code = this.next();
      }
      if (code !== closeBrace) this.fail("expected , or }");
    }
    this.leave();
  }

  /** Takes the opening bracket. */
  private enter(): void {
    if (++this.depth > this.depthMax) this.fail(`nested deeper than ${this.depthMax}`);
    this.at++;
  }

  /** Takes the closing bracket. */
  private leave(): void {
    this.depth--;
    this.at++;
  }

  private string(): string {
    const start = this.at + 1;
    const end = this.plainEnd(start);
    const code = this.text.charCodeAt(end);
    if (code === backslash) return this.escapedString(start, end);
    if (code !== quoteCode) return this.failAt(end, Number.isNaN(code) ? "unterminated string" : "control character in a string");
    this.at = end + 1;
    return this.text.slice(start, end);
  }

  /** Where the characters end that stand for themselves. Short strings by hand; a data: URL is megabytes, left to a regex. */
  private plainEnd(start: number): number {
    const text = this.text;
    for (let at = start; at < start + 100; at++) {
      const code = text.charCodeAt(at);
      if (code === quoteCode || code === backslash || !(code >= 0x20)) return at;
    }
    plainText.lastIndex = start;
    plainText.test(text);
    return plainText.lastIndex;
  }

  /** A string whose first backslash is at `first`. */
  private escapedString(start: number, first: number): string {
    let out = this.text.slice(start, first);
    this.at = first;
    while (this.text.charCodeAt(this.at) === backslash) {
      out += this.escape();
      const end = this.plainEnd(this.at);
      out += this.text.slice(this.at, end);
      this.at = end;
    }
    const code = this.text.charCodeAt(this.at);
    if (code !== quoteCode) this.fail(Number.isNaN(code) ? "unterminated string" : "control character in a string");
    this.at++;
    return out;
  }

  private escape(): string {
    const letter = this.text.charAt(this.at + 1);
    if (letter !== "u") {
      const char = escapes[letter];
      if (char === undefined) return this.fail("invalid escape");
      this.at += 2;
      return char;
    }
    const unit = this.hexUnit();
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    if (unit > 0xdbff || !this.text.startsWith("\\u", this.at)) return this.fail("lone surrogate");
    const low = this.hexUnit();
    if (low < 0xdc00 || low > 0xdfff) return this.fail("lone surrogate");
    return String.fromCharCode(unit, low);
  }

  /** Takes `\uXXXX`. */
  private hexUnit(): number {
    const digits = this.text.slice(this.at + 2, this.at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail("invalid \\u escape");
    this.at += 6;
    return Number.parseInt(digits, 16);
  }

  private number(): unknown {
    const start = this.at;
    let end = start;
    let code = this.text.charCodeAt(end);
    const negative = code === minus;
    if (negative) code = this.text.charCodeAt(++end);
    const firstDigit = end;
    let small = 0; // exact while there are at most `safeDigits` digits
    while (code >= zero && code <= nine) {
      small = small * 10 + (code - zero);
      code = this.text.charCodeAt(++end);
    }
    const digits = end - firstDigit;
    if (digits === 0) this.failAt(end, "expected a digit");
    if (digits > 1 && this.text.charCodeAt(firstDigit) === zero) this.failAt(firstDigit, "leading zero");
    if (code === point || code === 0x65 || code === 0x45) return this.float(start, end);
    this.at = end;
    if (negative && small === 0) return this.floatOf(this.text.slice(start, end));
    if (digits <= safeDigits) return negative ? -small : small;
    return this.longInteger(this.text.slice(start, end), digits);
  }

  private longInteger(text: string, digits: number): unknown {
    if (digits > integerDigitsMax) return this.floatOf(text);
    const big = BigInt(text);
    if (big > u64Max || big < i64Min) return this.floatOf(text); // I5
    return big >= Number.MIN_SAFE_INTEGER && big <= Number.MAX_SAFE_INTEGER ? Number(big) : big;
  }

  /** A number from `start` whose integer part ends at `end`. */
  private float(start: number, end: number): unknown {
    const rest = /(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    rest.lastIndex = end;
    rest.test(this.text);
    const code = this.text.charCodeAt(rest.lastIndex);
    if (rest.lastIndex === end || code === point || code === 0x65 || code === 0x45) this.failAt(rest.lastIndex, "invalid number");
    this.at = rest.lastIndex;
    return this.floatOf(this.text.slice(start, this.at));
  }

  private floatOf(text: string): unknown {
    const value = Number(text);
    if (!Number.isFinite(value)) this.fail("number out of range");
    return this.lossless ? new JsonFloat(value, text) : value;
  }

  private fail(what: string): never {
    return this.failAt(this.at, what);
  }

  private failAt(offset: number, what: string): never {
    throw new AppError("protocol_error", `invalid JSON at ${offset}: ${what}`, { details: { offset } });
  }
}
