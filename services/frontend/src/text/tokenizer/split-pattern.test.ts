import { describe, expect, it } from "vitest";
import { isolatedPieces, javaScriptPattern } from "./split-pattern.ts";

const gpt4 = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

describe("a pattern of tokenizer.json", () => {
  it("cuts as Oniguruma does", () => {
    expect(isolatedPieces("It'S  12345\n\nnaïve …", javaScriptPattern(gpt4)!)).toEqual([
      "It",
      "'S",
      " ",
      " ",
      "123",
      "45",
      "\n\n",
      "naïve",
      " …",
    ]);
  });

  it("has Oniguruma's white space: U+0085, but no U+FEFF", () => {
    const space = javaScriptPattern(String.raw`\s+`)!;
    expect(isolatedPieces("a\u0085b\ufeffc\u3000", space)).toEqual(["a", "\u0085", "b\ufeffc", "\u3000"]);
  });

  it("keeps what is between matches", () => {
    expect(isolatedPieces("ab12cd3", javaScriptPattern(String.raw`\p{N}`)!)).toEqual(["ab", "1", "2", "cd", "3"]);
  });

  it.each([String.raw`\p{L}++`, String.raw`\d+`, String.raw`\w`, "(?<=a)b", "(?>a)", "[a&&b]", "[a[b]]", "^a", "a.b", String.raw`\h`, "("])(
    "%s is left to the other engine",
    (pattern) => {
      expect(javaScriptPattern(pattern)).toBeUndefined();
    },
  );
});
