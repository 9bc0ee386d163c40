// What the router knows of a model's images, read once from the model folder: the family's arithmetic and the ids of its tokens.
//
//   config.json               model_type, image_token_id, vocab_size
//   preprocessor_config.json  sizes and limits              ┐ the family (families/)
//   processor_config.json     the same, and patch sizes     ┘
//   tokenizer.json            ids of layout tokens; read only for families that have more than one
//
// G1  `vocab_size` is config.json's, never the tokenizer's: top level, or `text_config` where the model nests it (Qwen3-VL).
// G2  Never runs code of the model folder.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, parseJson } from "@mm-router/protocol";
import type { ImageFamily, ImageLayout, JsonFields } from "./families/family.ts";
import { familyOf } from "./families/index.ts";

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
  const model = new ImageModel({ config, processor: fields });
  if (!needsTokenizer(model)) return model;
  const tokenIds = addedTokens(await readFields(folder, "tokenizer.json"));
  return new ImageModel({ config, processor: fields, tokenId: (text) => tokenIds.get(text) });
}

/** A family whose images are runs of one token, named in config.json, needs no tokenizer: a file of many megabytes. */
function needsTokenizer({ family, imageTokenId }: ImageModel): boolean {
  if (family === undefined) return false;
  const layout = family.layout({ width: 512, height: 512 });
  const isOneToken = layout.kind === "tokens" && layout.runs.every((run) => run.token === family.imageToken);
  return !isOneToken || family.placeholder !== family.imageToken || imageTokenId === undefined;
}

function addedTokens(tokenizer: JsonFields | undefined): Map<string, number> {
  const tokens = Array.isArray(tokenizer?.["added_tokens"]) ? tokenizer["added_tokens"].map(fieldsOf) : [];
  return new Map(
    tokens.flatMap(({ content, id }) => (typeof content === "string" && typeof id === "number" ? [[content, id] as const] : [])),
  );
}

async function readFields(folder: string, name: string): Promise<JsonFields | undefined> {
  const path = join(folder, name);
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new AppError("configuration", `${path} cannot be read`, { cause: error });
  }
  const value = parseJson(bytes);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new AppError("configuration", `${path} is no JSON object`);
  return value;
}

function fieldsOf(value: unknown): JsonFields {
  return typeof value === "object" && value !== null ? (value as JsonFields) : {};
}

function integerOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
