// A model small enough to be computed on a CPU with random weights, and like the real one in all that routing sees: tokenizer, special
// ids, limits of the image processor.
//
//   config.json   two layers of 128; vision: two of 64
import { join } from "node:path";
import { engineFolder } from "./engine-venv.ts";
import { familyFiles } from "./image-families.ts";
import { writeModel } from "./model-dir.ts";

const textLayers = {
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  hidden_act: "silu",
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  rope_scaling: { type: "mrope", mrope_section: [8, 12, 12] },
  max_position_embeddings: 4096,
  torch_dtype: "float32",
  tie_word_embeddings: true,
};

const visionLayers = {
  depth: 2,
  hidden_size: 64,
  intermediate_size: 128,
  num_heads: 2,
  out_hidden_size: textLayers.hidden_size,
  in_channels: 3,
  window_size: 112,
  fullatt_block_indexes: [1],
  tokens_per_second: 2,
};

/** Path of the folder of a Qwen2.5-VL, written when it is not there. */
export function engineModelDir(): string {
  const folder = join(engineFolder, "models", "qwen2_5_vl");
  const family = familyFiles("qwen2_5_vl");
  const { vision_config, ...config } = family.config as { vision_config: object };
  writeModel(folder, {
    ...family,
    config: { ...config, ...textLayers, vision_config: { ...vision_config, ...visionLayers } },
    generation: { do_sample: false }, // else the file's sampling values become the server's defaults
  });
  return folder;
}
