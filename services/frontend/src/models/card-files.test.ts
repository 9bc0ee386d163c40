import { AppError, type CardFile, type ModelCard, parseJsonLossless } from "@mm-router/protocol";
import { goldenText } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { cardSum, textKey } from "./card-sum.ts";
import { loadCardText } from "./card-files.ts";

const tokenizer = goldenText("text/models/bytelevel.tokenizer.json");
const config = JSON.stringify({ chat_template: "config" });
const checksum = (digit: string) => `blake3:${digit.repeat(64)}`;
const file = (path: string, digit: string): CardFile => ({ path, checksum: checksum(digit) });

function card(changes: object = {}): ModelCard {
  return {
    display_name: "m",
    slug: "m",
    source_path: "owner/model",
    model_info: { hf_config_json: file("/w/config.json", "1") },
    tokenizer: { hf_tokenizer_json: file("/w/tokenizer.json", "2") },
    prompt_formatter: { hf_tokenizer_config_json: file("/w/tokenizer_config.json", "3") },
    kv_cache_block_size: 16,
    migration_limit: 0,
    model_type: "Chat",
    model_input: "Tokens",
    ...changes,
  } as ModelCard;
}

/** Reads from a map; what is not there cannot be read. @returns the prompt of an empty chat */
async function promptOf(model: ModelCard, files: Record<string, string>, modelPath?: string): Promise<string> {
  const source = {
    read: async ({ path }: CardFile) => {
      const text = files[path];
      if (text === undefined) throw new AppError("dependency_unreachable", `cannot read ${path}`);
      return Buffer.from(text);
    },
    resolveFolder: async (name: string) => {
      if (name === "owner/model") return "/cache/snapshot";
      throw new AppError("configuration", "no such model");
    },
  };
  const text = await loadCardText(model, source, { modelPath, hidesToolsForNone: true, warn: () => {} });
  return text.render({ messages: [parseJsonLossless('{"role":"user","content":"hi"}') as never] });
}

const onWorker = { "/w/config.json": "{}", "/w/tokenizer.json": tokenizer, "/w/tokenizer_config.json": config };

describe("the files of a card", () => {
  it("are read where the card says", async () => {
    expect(await promptOf(card(), onWorker)).toBe("config");
  });

  it("may be named by address", async () => {
    const url = "http://192.0.2.1:9/v1/metadata/tokenizer_config.json?x=1";
    const model = card({ prompt_formatter: { hf_tokenizer_config_json: file(url, "3") } });
    expect(await promptOf(model, { ...onWorker, [url]: JSON.stringify({ chat_template: "by address" }) })).toBe("by address");
  });

  it("are looked for in --model-path, then in the model's own folder, when the card's place is not here", async () => {
    const elsewhere = (folder: string, template: string) =>
      Object.fromEntries(
        Object.entries(onWorker).map(([path, text]) => [
          path.replace("/w", folder),
          path.endsWith("tokenizer_config.json") ? JSON.stringify({ chat_template: template }) : text,
        ]),
      );
    const both = { ...elsewhere("/models", "path"), ...elsewhere("/cache/snapshot", "source") };
    expect(await promptOf(card(), both, "/models")).toBe("path");
    expect(await promptOf(card(), both)).toBe("source");
  });

  it("have the card's template before that of tokenizer_config.json, as text or as JSON", async () => {
    const withTemplate = (name: string) =>
      card({ chat_template_file: { hf_chat_template: { is_custom: false, file: file(`/w/${name}`, "4") } } });
    expect(await promptOf(withTemplate("chat_template.jinja"), { ...onWorker, "/w/chat_template.jinja": "jinja" })).toBe("jinja");
    expect(await promptOf(withTemplate("chat_template.json"), { ...onWorker, "/w/chat_template.json": '{"chat_template":"json"}' })).toBe(
      "json",
    );
  });

  it("are complained about by the card's own place", async () => {
    const { "/w/tokenizer.json": _gone, ...rest } = onWorker;
    await expect(promptOf(card(), rest, "/models")).rejects.toThrow("cannot read /w/tokenizer.json");
  });

  it("must include a tokenizer that is known here", async () => {
    await expect(promptOf(card({ tokenizer: { tik_token_model: file("/w/x.tiktoken", "5") } }), onWorker)).rejects.toMatchObject({
      code: "configuration",
    });
  });
});

describe("the sum of a card", () => {
  it("does not change with paths, types or run-time facts", () => {
    const other = card({
      tokenizer: { hf_tokenizer_json: file("http://192.0.2.1/tokenizer.json", "2") },
      model_type: "Chat | Completions",
      runtime_config: { total_kv_blocks: 5 },
    });
    expect(cardSum(other)).toBe(cardSum(card()));
  });

  it.each([
    ["a file", { tokenizer: { hf_tokenizer_json: file("/w/tokenizer.json", "9") } }],
    ["the block size", { kv_cache_block_size: 32 }],
    ["the context length", { context_length: 1 }],
    ["what the worker takes", { model_input: "Text" }],
  ])("changes with %s", (_what, changes) => {
    expect(cardSum(card(changes))).not.toBe(cardSum(card()));
  });

  it("lets cards share their text only when they hide tools alike", () => {
    expect(textKey(card({ kv_cache_block_size: 32 }))).toBe(textKey(card()));
    expect(textKey(card({ runtime_config: { exclude_tools_when_tool_choice_none: false } }))).not.toBe(textKey(card()));
  });
});
