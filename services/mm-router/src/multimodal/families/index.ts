// The registry: exact `model_type` → arithmetic. A model type that is not here is not guessed at: the router then knows the text before
// the first image and says so.
//
// Every entry has vectors in multimodal/image_tokens.json (qwen3_vl_moe and glm4v_moe: the processor classes of their dense sisters).
// Adding a family: one file, one line here, its vectors.
import type { FamilyFactory, ImageFamily, ModelFiles } from "./family.ts";
import { deepseekVl, mllama } from "./fixed.ts";
import { gemma3 } from "./gemma3.ts";
import { idefics3 } from "./idefics3.ts";
import { llama4 } from "./llama4.ts";
import { llava } from "./llava.ts";
import { llavaNext, llavaOnevision } from "./llava-next.ts";
import { phi4 } from "./phi4.ts";
import { pixtral } from "./pixtral.ts";
import { glm4v, qwenVl } from "./qwen-vl.ts";
import { ayaVision, internvl } from "./tiled.ts";

const factories: ReadonlyMap<string, FamilyFactory> = new Map([
  ["aya_vision", ayaVision],
  ["deepseek_vl", deepseekVl],
  ["gemma3", gemma3],
  ["glm4v", glm4v],
  ["glm4v_moe", glm4v],
  ["idefics3", idefics3],
  ["internvl", internvl],
  ["llama4", llama4],
  ["llava", llavaOrPixtral],
  ["llava_next", llavaNext],
  ["llava_onevision", llavaOnevision],
  ["mistral3", pixtral],
  ["mllama", mllama],
  ["phi4_multimodal", phi4],
  ["qwen2_5_vl", qwenVl],
  ["qwen2_vl", qwenVl],
  ["qwen3_vl", qwenVl],
  ["qwen3_vl_moe", qwenVl],
  ["smolvlm", idefics3],
]);

/** @returns undefined for a model type without vectors. @throws AppError `configuration` when the files are not as the real class takes them */
export function familyOf(files: ModelFiles): ImageFamily | undefined {
  return factories.get(files.modelType)?.(files);
}

export const knownModelTypes: readonly string[] = [...factories.keys()];

/** Pixtral-12b's published config says `llava`: the vision tower and the processor class tell it from LLaVA-1.5. */
function llavaOrPixtral(files: ModelFiles): ImageFamily {
  const vision = files.config["vision_config"] as { model_type?: unknown } | null | undefined;
  const isPixtral = vision?.model_type === "pixtral" || files.processor["processor_class"] === "PixtralProcessor";
  return isPixtral ? pixtral(files) : llava(files);
}
