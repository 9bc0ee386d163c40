// What the router knows of a model's images, read once from the model folder: the family's arithmetic and the ids of its tokens.
//
//   config.json               model_type, image_token_id, vocab_size
//   preprocessor_config.json  sizes and limits              ┐ the family (families/)
//   processor_config.json     the same, and patch sizes     ┘
//   tokenizer.json            ids of layout tokens; how text and tokens are made of each other
//   tokenizer_config.json     the same
//
// G1  `vocab_size` is config.json's, never the tokenizer's: top level, or `text_config` where the model nests it (Qwen3-VL).
// G2  Never runs code of the model folder.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, parseJson } from "@mm-router/protocol";
import type { ImageFamily, ImageLayout, JsonFields } from "./families/family.ts";
import { familyOf } from "./families/index.ts";
import { keepsTokens, type TokenizerPipeline } from "./prompt-reencoding.ts";
import { parseTokenizerFile } from "./tokenizer-file.ts";

/** Ids and counts in the order of the prompt. */
export interface IdLayout {
  readonly runs: readonly { readonly id: number; readonly count: number }[];
  readonly total: number;
}

export interface ImageModelFiles {
  readonly config: JsonFields;
  /** Fields of `preprocessor_config.json` and `processor_config.json`. */
  readonly processor: JsonFields;
  /** Id of an added token, by its text; absent: only ids named in config.json are known. */
  readonly tokenId?: (text: string) => number | undefined;
  /** A worker may have other tokens than its caller, of the same prompt (prompt-reencoding.ts). Default false. */
  readonly mayChangeTokens?: boolean;
}

export class ImageModel {
  readonly modelType: string;
  /** Undefined for a model type without vectors. */
  readonly family: ImageFamily | undefined;
  /** The token of which a prompt has one per image. */
  readonly placeholderId: number | undefined;
  /** The token at whose positions images enter. */
  readonly imageTokenId: number | undefined;
  readonly vocabularySize: number | undefined;
  readonly mayChangeTokens: boolean;
  readonly #files: ImageModelFiles;

  /** @throws AppError `configuration` when the files are not as the model's real processor takes them */
  constructor(files: ImageModelFiles) {
    const { config } = files;
    this.#files = files;
    this.modelType = typeof config["model_type"] === "string" ? config["model_type"] : "";
    this.family = familyOf({ modelType: this.modelType, config, processor: files.processor });
    this.imageTokenId =
      integerOf(config["image_token_id"]) ?? integerOf(config["image_token_index"]) ?? this.#idOf(this.family?.imageToken);
    const isOwnPlaceholder = this.family === undefined || this.family.placeholder === this.family.imageToken;
    this.placeholderId = isOwnPlaceholder ? this.imageTokenId : this.#idOf(this.family?.placeholder);
    this.mayChangeTokens = files.mayChangeTokens ?? false;
    this.vocabularySize = integerOf(config["vocab_size"]) ?? integerOf(fieldsOf(config["text_config"])["vocab_size"]);
  }

  /** @returns undefined when the vocabulary lacks a token of the layout */
  idLayoutOf(layout: ImageLayout & { kind: "tokens" }): IdLayout | undefined {
    const runs: { id: number; count: number }[] = [];
    for (const { token, count } of layout.runs) {
      const id = token === this.family?.imageToken ? this.imageTokenId : this.#idOf(token);
      if (id === undefined) return undefined;
      runs.push({ id, count });
    }
    return { runs, total: layout.total };
  }

  /**
   * The model as a request's `mm_processor_kwargs` change it.
   *
   * @returns undefined for options whose effect is not known here
   */
  withProcessorOptions(options: JsonFields): ImageModel | undefined {
    const { min_pixels, max_pixels, ...others } = options;
    const isBudget = integerOf(min_pixels) !== undefined && integerOf(max_pixels) !== undefined && Object.keys(others).length === 0;
    if (!isBudget || this.family?.name !== "qwen-vl") return undefined;
    return new ImageModel({ ...this.#files, processor: { ...this.#files.processor, min_pixels, max_pixels } });
  }

  #idOf(token: string | undefined): number | undefined {
    return token === undefined ? undefined : this.#files.tokenId?.(token);
  }
}

/** @throws AppError `configuration` when config.json is missing or a file is no JSON object */
export async function readImageModel(folder: string): Promise<ImageModel> {
  const config = await readFields(folder, "config.json");
  if (config === undefined) throw new AppError("configuration", `there is no config.json in ${folder}`);
  const preprocessor = (await readFields(folder, "preprocessor_config.json")) ?? {};
  const processor = (await readFields(folder, "processor_config.json")) ?? {};
  const fields = { ...preprocessor, ...fieldsOf(processor["image_processor"]), ...processor };
  const tokenizer = await readTokenizer(folder);
  const tokenizerConfig = (await readFields(folder, "tokenizer_config.json")) ?? {};
  return new ImageModel({
    config,
    processor: fields,
    tokenId: (text) => tokenizer?.addedTokens.get(text),
    mayChangeTokens: tokenizer === undefined || !keepsTokens(tokenizer, tokenizerConfig),
  });
}

async function readTokenizer(folder: string): Promise<TokenizerPipeline | undefined> {
  const bytes = await readBytes(folder, "tokenizer.json");
  return bytes && parseTokenizerFile(bytes);
}

async function readFields(folder: string, name: string): Promise<JsonFields | undefined> {
  const bytes = await readBytes(folder, name);
  const value = bytes && parseJson(bytes);
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new AppError("configuration", `${join(folder, name)} is no JSON object`);
  return value;
}

async function readBytes(folder: string, name: string): Promise<Buffer | undefined> {
  const path = join(folder, name);
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new AppError("configuration", `${path} cannot be read`, { cause: error });
  }
}

function fieldsOf(value: unknown): JsonFields {
  return typeof value === "object" && value !== null ? (value as JsonFields) : {};
}

function integerOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
