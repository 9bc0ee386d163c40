// What methods and filters do to text.
import type { Budget } from "./budget.ts";
import { pythonTrimEnd, pythonTrimStart } from "./code-points.ts";

/** Upper case after white space and ASCII punctuation ("it's" → "It'S"). */
export function titled(text: string, budget: Budget): string {
  budget.spend(text.length); // each character is looked at alone
  let result = "";
  let first = true;
  for (const character of text) {
    if (wordBreak.test(character)) {
      result += character;
      first = true;
    } else {
      result += first ? character.toUpperCase() : character.toLowerCase();
      first = false;
    }
  }
  return result;
}

const wordBreak = /^[!-/:-@[-`{-~\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;

export function capitalized(text: string): string {
  const [first = ""] = text;
  return first.toUpperCase() + text.slice(first.length).toLowerCase();
}

/** @param times how many occurrences from the left; undefined or negative: all */
export function replaced(text: string, from: string, to: string, times: number | undefined, budget: Budget): string {
  budget.spend(partsMax(text, from));
  const parts = from === "" ? ["", ...text, ""] : text.split(from);
  const count = times === undefined || times < 0 ? parts.length - 1 : Math.min(times, parts.length - 1);
  const length = text.length + count * (to.length - from.length);
  budget.textLength(length);
  budget.read(length);
  return (
    parts.slice(0, count + 1).join(to) +
    parts
      .slice(count + 1)
      .map((part) => from + part)
      .join("")
  );
}

/** How many parts a text can have at most: paid for before they are made. White space, `undefined`, may stand at every place. */
export function partsMax(text: string, separator: string | undefined): number {
  return Math.ceil(text.length / Math.max(1, separator?.length ?? 1));
}

export function joined(parts: readonly string[], separator: string, budget: Budget): string {
  let length = separator.length * Math.max(0, parts.length - 1);
  for (const part of parts) length += part.length;
  budget.textLength(length);
  budget.read(length);
  return parts.join(separator);
}

/** @param splits at most so many cuts; undefined or negative: all. An empty separator cuts around every character. */
export function splitBy(text: string, separator: string, splits: number | undefined): string[] {
  const parts = separator === "" ? ["", ...text, ""] : text.split(separator);
  if (splits === undefined || splits < 0 || splits >= parts.length - 1) return parts;
  return [...parts.slice(0, splits), parts.slice(splits).join(separator)];
}

const pythonWord = /[^\t-\r\u001c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;

/** str.split() of Python: words; after `splits` cuts the rest as it stands. */
export function pythonWords(text: string, splits: number | undefined): string[] {
  const words: string[] = [];
  for (const match of text.matchAll(pythonWord)) {
    if (words.length === splits) return [...words, text.slice(match.index)];
    words.push(match[0]);
  }
  return words;
}

const pythonLine = /[^\n\r\v\f\u001c-\u001e\u0085\u2028\u2029]*(\r\n|[\n\r\v\f\u001c-\u001e\u0085\u2028\u2029]|$)/g;

/** str.splitlines() of Python. */
export function pythonLines(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  for (const [line, end = ""] of text.matchAll(pythonLine)) {
    if (line !== "") lines.push(keepEnds ? line : line.slice(0, line.length - end.length));
  }
  return lines;
}

/** str::lines() of Rust: cut at \n, without a \r before it. */
export function rustLines(text: string): string[] {
  const lines = text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

export function pythonTrim(text: string): string {
  return pythonTrimEnd(pythonTrimStart(text));
}

/** Text indented by `width` spaces from its second line on; a line break at the end is dropped. */
export function indented(text: string, width: number, options: { first: boolean; blank: boolean }, budget: Budget): string {
  const lines = text.replace(/\r?\n?$/, "").split("\n");
  budget.spend(lines.length);
  budget.textLength(text.length + width * lines.length);
  const margin = " ".repeat(width);
  return lines.map((line, index) => ((index === 0 && !options.first) || (line === "" && !options.blank) ? line : margin + line)).join("\n");
}

/** Percent-encoded but for letters, digits and `/ . - _`. */
export function urlEncoded(text: string): string {
  const encoded = encodeURIComponent(text.toWellFormed()).replaceAll("%2F", "/");
  return encoded.replace(/[!~*'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
