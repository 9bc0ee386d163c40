// The model as its worker knows it: what its folder says about images, and the card that it registers.
//
// Source of the card: `dynamo.trtllm` 1.4.2 (golden/worker/mm-1.4.2.json). That it is simulated stands in `runtime_config`,
// where every frontend ignores what it does not know and `mmr doctor` looks.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type CardFile, type Dialect, type ModelCard, slugOf } from "@mm-router/protocol";
import { cardFileOf } from "@mm-router/runtime";
import type { ImageRule } from "./image-size.ts";

export interface WorkerModel {
  readonly folder: string;
  readonly imageTokenId: number;
  readonly imageRule: ImageRule;
  /** Positions, prompt and answer together. */
  readonly contextLength: number;
}

/** Reads what a worker of the Qwen2-VL family needs; throws when the folder has no config.json. */
export function readWorkerModel(folder: string): WorkerModel {
  const config = readJson(folder, "config.json");
  const processor = existsSync(join(folder, "preprocessor_config.json")) ? readJson(folder, "preprocessor_config.json") : {};
  return {
    folder,
    imageTokenId: numberOf(config.image_token_id, 151_655),
    imageRule: {
      tokenSide: numberOf(processor.patch_size, 14) * numberOf(processor.merge_size, 2),
      pixelsMin: numberOf(processor.min_pixels, 3_136),
      pixelsMax: numberOf(processor.max_pixels, 1_003_520), // the processor class's own default
    },
    contextLength: numberOf(config.max_position_embeddings, 32_768),
  };
}

export interface CardInput {
  readonly model: WorkerModel;
  readonly servedName: string;
  readonly dialect: Dialect;
  readonly blockSize: number;
  readonly blocks: number;
}

export async function workerCard({ model, servedName, dialect, blockSize, blocks }: CardInput): Promise<ModelCard> {
  const file = (name: string): Promise<CardFile> => cardFileOf(join(model.folder, name));
  const optional = (name: string): Promise<CardFile | undefined> | undefined =>
    existsSync(join(model.folder, name)) ? file(name) : undefined;
  const generation = await optional("generation_config.json");
  const template = await optional("chat_template.jinja");
  const isNew = dialect.advertisedCodec !== undefined; // 1.4 added the members that tell kinds of workers apart
  return {
    display_name: servedName,
    slug: slugOf(servedName),
    source_path: model.folder,
    model_info: { hf_config_json: await file("config.json") },
    tokenizer: { hf_tokenizer_json: await file("tokenizer.json") },
    prompt_formatter: { hf_tokenizer_config_json: await file("tokenizer_config.json") },
    ...(generation && { gen_config: { hf_generation_config_json: generation } }),
    ...(template && { chat_template_file: { hf_chat_template: { is_custom: false, file: template } } }),
    ...(isNew && { architectural_max_context_length: model.contextLength }),
    context_length: model.contextLength,
    kv_cache_block_size: blockSize,
    migration_limit: 0,
    model_type: "Chat | Completions",
    model_input: "Tokens",
    ...(isNew && { worker_type: "aggregated", needs: [] }),
    runtime_config: {
      total_kv_blocks: isNew ? blocks : null,
      max_num_seqs: 2048,
      max_num_batched_tokens: 8192,
      tool_call_parser: null,
      reasoning_parser: null,
      data_parallel_start_rank: 0,
      data_parallel_size: 1,
      enable_local_indexer: true,
      runtime_data: { engine: "simulated" },
    },
    media_decoder: null,
    media_fetcher: null,
  };
}

function readJson(folder: string, name: string): Readonly<Record<string, unknown>> {
  return JSON.parse(readFileSync(join(folder, name), "utf8")) as Record<string, unknown>;
}

const numberOf = (value: unknown, otherwise: number): number => (typeof value === "number" ? value : otherwise);
