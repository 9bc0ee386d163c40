import { type LosslessJson, parseJsonLossless } from "@mm-router/protocol";
import { goldenText } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { loadTextModel, type TextModelFiles } from "./index.ts";

const tokenizerJson = Buffer.from(goldenText("text/models/bytelevel.tokenizer.json"));
const json = (value: object) => Buffer.from(JSON.stringify(value));
const template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}";

const load = (files: Partial<TextModelFiles> = {}) =>
  loadTextModel({ tokenizerJson, tokenizerConfig: json({ chat_template: template, bos_token: "<s>" }), ...files });

const messages = (value: object[]) => parseJsonLossless(JSON.stringify(value)) as Map<string, LosslessJson>[];
const hi = messages([{ role: "user", content: "hi" }]);

describe("a text model", () => {
  it("renders, encodes and decodes", () => {
    const model = load();
    const prompt = model.render({ messages: hi });
    expect(prompt).toBe("<s>[user]hi");
    const promptIds = model.encode(prompt);
    const detokenizer = model.detokenizer({ promptIds, skipSpecialTokens: true });
    const ids = [...model.encode(" Hello world")];
    expect(ids.map((id, index) => detokenizer.push([id], index === ids.length - 1)).join("")).toBe(" Hello world");
    expect(model.vocabularySize).toBeGreaterThan(Math.max(...ids));
    expect(model.tokenText(ids[0]!).text).not.toBe("");
  });

  it.each([
    ["chat_template.jinja before all", { chatTemplate: "J", chatTemplateJson: '{"chat_template":"O"}' }, "J"],
    ["chat_template.json before tokenizer_config.json", { chatTemplateJson: '{"chat_template":"O"}' }, "O"],
  ])("takes %s", (_, files, prompt) => {
    expect(load(files).render({ messages: hi })).toBe(prompt);
  });

  it("takes bos_token as text and as an object", () => {
    const model = load({ tokenizerConfig: json({ chat_template: "{{ bos_token }}", bos_token: { content: "<b>" } }) });
    expect(model.render({ messages: hi })).toBe("<b>");
  });

  it.each([
    [
      "Hugging Face's list",
      [
        { name: "default", template: "D" },
        { name: "tool_use", template: "T" },
      ],
    ],
    ["Dynamo's list", [{ default: "D", tool_use: "T" }]],
  ])("has a template for requests with tools: %s", (_, list) => {
    const model = load({ tokenizerConfig: json({ chat_template: list }) });
    const tools = parseJsonLossless('[{"type":"function","function":{"name":"f"}}]');
    expect(model.render({ messages: hi })).toBe("D");
    expect(model.render({ messages: hi, tools })).toBe("T");
    expect(model.render({ messages: hi, tools, toolChoice: "none" })).toBe("D");
  });

  it.each([
    ["generation_config.json", { eos_token_id: [5, 6] }, { eos_token_id: 7 }, [5, 6]],
    ["config.json", {}, { eos_token_id: 7 }, [7]],
    ["the text part of config.json", {}, { text_config: { eos_token_id: 8 } }, [8]],
    ["nowhere", {}, {}, []],
  ])("finds its EOS ids in %s", (_, generationConfig, config, ids) => {
    expect(load({ generationConfig: json(generationConfig), config: json(config) }).eosTokenIds).toEqual(ids);
  });

  it.each<[string, Partial<TextModelFiles>, RegExp]>([
    ["no template", { tokenizerConfig: json({}) }, /no chat template/],
    ["a template that cannot be read", { tokenizerConfig: json({ chat_template: "{% if" }) }, /line 1/],
    ["a list without a default", { tokenizerConfig: json({ chat_template: [{ name: "x", template: "y" }] }) }, /no `default`/],
    ["a template of another kind", { tokenizerConfig: json({ chat_template: 5 }) }, /neither text nor a list/],
    ["a tokenizer that is no JSON", { tokenizerJson: Buffer.from("{") }, /tokenizer\.json is not JSON/],
    ["a tokenizer without vocabulary", { tokenizerJson: json({ model: {} }) }, /vocabulary/],
    ["a config that is a list", { tokenizerConfig: json([]) }, /not a JSON object/],
    ["a model whose prompts are code", { config: json({ model_type: "deepseek_v32" }) }, /not supported/],
    [
      "a decoder that nobody knows",
      { tokenizerJson: json({ model: { type: "BPE", vocab: { a: 0 }, merges: [] }, decoder: { type: "WordPiece" } }) },
      /decoder WordPiece/,
    ],
    ["a model of another kind", { tokenizerJson: json({ model: { type: "Odd", vocab: { a: 0 } } }) }, /not supported/],
  ])("is refused for %s", (_, files, sentence) => {
    expect(() => load(files)).toThrow(expect.objectContaining({ code: "configuration", message: expect.stringMatching(sentence) }));
  });
});
