import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ImageModel, readImageModel } from "./image-model.ts";

const folders: string[] = [];
afterEach(() => Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true }))));

async function folderOf(files: Record<string, unknown>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "mmr-image-model-"));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

const qwen = { model_type: "qwen2_5_vl", image_token_id: 151655, vocab_size: 151936 };

describe("readImageModel", () => {
  it("reads ids and sizes of a Qwen model without its tokenizer", async () => {
    const model = await readImageModel(await folderOf({ "config.json": qwen, "preprocessor_config.json": { max_pixels: 12_845_056 } }));
    expect(model).toMatchObject({ modelType: "qwen2_5_vl", imageTokenId: 151655, placeholderId: 151655, vocabularySize: 151936 });
    expect(model.family?.layout({ width: 1024, height: 1024 })).toMatchObject({ total: 1369 });
  });

  it("takes the vocabulary's size from text_config where the model nests it", async () => {
    const config = { model_type: "qwen3_vl", image_token_id: 151655, text_config: { vocab_size: 151936 } };
    expect((await readImageModel(await folderOf({ "config.json": config }))).vocabularySize).toBe(151936);
  });

  it("takes the ids of several layout tokens from the tokenizer, and the processor's fields before the image processor's", async () => {
    const model = await readImageModel(
      await folderOf({
        "config.json": { model_type: "mistral3", image_token_index: 10, vocab_size: 131072 },
        "preprocessor_config.json": { patch_size: { height: 16, width: 16 }, size: { longest_edge: 1540 } },
        "processor_config.json": { patch_size: 14, spatial_merge_size: 2 },
        "tokenizer.json": {
          added_tokens: [
            { id: 10, content: "[IMG]" },
            { id: 12, content: "[IMG_BREAK]" },
            { id: 13, content: "[IMG_END]" },
          ],
        },
      }),
    );
    const layout = model.family?.layout({ width: 56, height: 56 });
    if (layout?.kind !== "tokens") throw new Error("no layout");
    expect(model.idLayoutOf(layout)).toEqual({
      runs: [
        { id: 10, count: 2 },
        { id: 12, count: 1 },
        { id: 10, count: 2 },
        { id: 13, count: 1 },
      ],
      total: 6,
    });
  });

  it("has no ids for a layout whose tokens the vocabulary lacks", () => {
    const model = new ImageModel({ config: { model_type: "mistral3", image_token_index: 10 }, processor: {} });
    const layout = model.family?.layout({ width: 56, height: 56 });
    expect(layout?.kind === "tokens" && model.idLayoutOf(layout)).toBeUndefined();
  });

  it("doubts the tokens of a model without a tokenizer that it knows to keep them", async () => {
    const byteLevel = { model: { type: "BPE" }, pre_tokenizer: { type: "ByteLevel" }, decoder: { type: "ByteLevel" } };
    const doubted = async (files: Record<string, unknown>) =>
      (await readImageModel(await folderOf({ "config.json": qwen, ...files }))).mayChangeTokens;
    expect(await doubted({})).toBe(true);
    expect(await doubted({ "tokenizer.json": byteLevel })).toBe(false);
    expect(await doubted({ "tokenizer.json": byteLevel, "tokenizer_config.json": { clean_up_tokenization_spaces: true } })).toBe(true);
  });

  it("finds placeholder and image token apart where a family has two", async () => {
    const model = await readImageModel(
      await folderOf({
        "config.json": { model_type: "gemma3", image_token_index: 262144 },
        "tokenizer.json": {
          added_tokens: [
            { id: 255999, content: "<start_of_image>" },
            { id: 262144, content: "<image_soft_token>" },
          ],
        },
      }),
    );
    expect([model.placeholderId, model.imageTokenId]).toEqual([255999, 262144]);
  });

  it("knows a model type without arithmetic by its token alone", async () => {
    const model = await readImageModel(await folderOf({ "config.json": { ...qwen, model_type: "kimi_k25" } }));
    expect([model.family, model.placeholderId]).toEqual([undefined, 151655]);
  });

  it.each([
    ["there is no config.json", {}, /config.json/],
    ["config.json is no object", { "config.json": [1] }, /no JSON object/],
    [
      "a processor file has a field of the wrong type",
      { "config.json": qwen, "preprocessor_config.json": { max_pixels: "many" } },
      /max_pixels/,
    ],
  ])("errs when %s, naming it", async (_what, files, message) => {
    await expect(folderOf(files).then(readImageModel)).rejects.toThrow(message);
  });
});
