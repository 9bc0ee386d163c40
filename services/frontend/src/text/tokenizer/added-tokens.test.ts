import { describe, expect, it } from "vitest";
import { AddedTokenSplitter } from "./added-tokens.ts";
import type { AddedToken } from "./tokenizer-file.ts";

const token = (id: number, content: string, flags: Partial<AddedToken> = {}): AddedToken => ({
  id,
  content,
  special: true,
  normalized: false,
  singleWord: false,
  lstrip: false,
  rstrip: false,
  ...flags,
});

const plain = (section: { text?: string | undefined; id?: number | undefined }) => section.id ?? section.text;
const split = (tokens: readonly AddedToken[], text: string) => new AddedTokenSplitter(tokens).split(text).map(plain);

describe("added tokens in a text", () => {
  it.each([
    ["between texts", [token(1, "<s>")], "a<s>b", ["a", 1, "b"]],
    ["at both ends, side by side", [token(1, "<s>"), token(2, "</s>")], "<s></s>x<s>", [1, 2, "x", 1]],
    ["the longest at a place", [token(1, "<|a|>"), token(2, "<|a|><|b|>")], "<|a|><|b|>", [2]],
    ["the first place wins", [token(1, "ab"), token(2, "bcd")], "abcd", [1, "cd"]],
    ["with the space before", [token(1, "<L>", { lstrip: true })], "a \n <L> b", ["a", 1, " b"]],
    ["with the space after", [token(1, "<R>", { rstrip: true })], "a <R> \n b", ["a ", 1, "b"]],
    ["not inside a word", [token(1, "WORD", { singleWord: true })], "WORDs WORD, xWORD", ["WORDs ", 1, ", xWORD"]],
    ["none", [], "abc", ["abc"]],
    ["nothing", [token(1, "<s>")], "", []],
    ["beginnings of tokens only", [token(1, "<s>")], "<<s<s>", ["<<s", 1]],
  ])("%s", (_, tokens, text, sections) => {
    expect(split(tokens, text)).toEqual(sections);
  });

  it("is quick where many beginnings are none", () => {
    const tokens = Array.from({ length: 200 }, (_, id) => token(id, `${"<".repeat(50)}${id}>`));
    const start = performance.now();
    expect(split(tokens, "<".repeat(100_000))).toEqual(["<".repeat(100_000)]);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
