// What tells one image model's folder from another's: config, processor settings, placeholder.
//
// The settings are those of published checkpoints, recorded in multimodal/image_tokens.json; ids of added tokens are ours, since
// all families here share one tokenizer.
//
//   qwen2_vl qwen2_5_vl qwen3_vl   <|vision_start|><|image_pad|><|vision_end|>     one run between two marks
//   llava_next                     <image>                                         one run, nothing around it
//   phi4_multimodal                <|image|>                                       the same
//   mistral3                       [IMG] → rows of [IMG], [IMG_BREAK], [IMG_END]   several runs

export type ModelType = "qwen2_vl" | "qwen2_5_vl" | "qwen3_vl" | "llava_next" | "mistral3" | "phi4_multimodal";

/** Ids of the tokenizer's special tokens, as its tokenizer_config.json lists them. */
export const specialTokens = { endOfText: 151643, endOfTurn: 151645, visionStart: 151652, visionEnd: 151653, image: 151655, video: 151656 };

/** As `added_tokens` of a tokenizer.json writes one. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

export interface FamilyFiles {
  readonly config: object;
  readonly preprocessor: object;
  readonly processor?: object;
  /** Further members of generation_config.json. */
  readonly generation?: object;
  /** What the chat template writes for an image. */
  readonly placeholder: string;
  /** Tokens that the shared tokenizer lacks. */
  readonly addedTokens: readonly AddedToken[];
}

/** Embedding rows of the checkpoints (tokenizer entries rounded up); "one past the vocabulary" counts from here. */
const vocabularySize = 151936;
const firstFreeId = 151665;

export function familyFiles(modelType: ModelType): FamilyFiles {
  switch (modelType) {
    case "qwen2_vl":
      return qwen("qwen2_vl", "Qwen2VLForConditionalGeneration");
    case "qwen2_5_vl":
      return qwen("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration");
    case "qwen3_vl":
      return qwen3();
    case "llava_next":
      return llavaNext();
    case "mistral3":
      return mistral3();
    case "phi4_multimodal":
      return phi4();
  }
}

const textModel = { vocab_size: vocabularySize, max_position_embeddings: 32_768, eos_token_id: specialTokens.endOfTurn };
const qwenIds = {
  image_token_id: specialTokens.image,
  video_token_id: specialTokens.video,
  vision_start_token_id: specialTokens.visionStart,
  vision_end_token_id: specialTokens.visionEnd,
};
const qwenPlaceholder = "<|vision_start|><|image_pad|><|vision_end|>";

function qwen(model_type: string, architecture: string): FamilyFiles {
  const vision_config = { model_type, patch_size: 14, spatial_merge_size: 2, spatial_patch_size: 14, temporal_patch_size: 2 };
  const limits = { min_pixels: 3136, max_pixels: 12_845_056, patch_size: 14, merge_size: 2, temporal_patch_size: 2 };
  return {
    config: { model_type, architectures: [architecture], ...textModel, ...qwenIds, vision_config },
    preprocessor: { image_processor_type: "Qwen2VLImageProcessor", ...limits },
    placeholder: qwenPlaceholder,
    addedTokens: [],
  };
}

/** The vocabulary is nested, and the limits have other names. */
function qwen3(): FamilyFiles {
  const vision_config = { model_type: "qwen3_vl", patch_size: 16, spatial_merge_size: 2, temporal_patch_size: 2 };
  const size = { shortest_edge: 65_536, longest_edge: 16_777_216 };
  return {
    config: {
      model_type: "qwen3_vl",
      architectures: ["Qwen3VLForConditionalGeneration"],
      text_config: { model_type: "qwen3_vl_text", ...textModel },
      ...qwenIds,
      vision_config,
    },
    preprocessor: { image_processor_type: "Qwen2VLImageProcessorFast", size, patch_size: 16, merge_size: 2, temporal_patch_size: 2 },
    placeholder: qwenPlaceholder,
    addedTokens: [],
  };
}

function llavaNext(): FamilyFiles {
  const image = addedToken(0, "<image>");
  const image_grid_pinpoints = [
    [336, 672],
    [672, 336],
    [672, 672],
    [1008, 336],
    [336, 1008],
  ];
  const strategy = { patch_size: 14, vision_feature_select_strategy: "default", num_additional_image_tokens: 1 };
  return {
    config: {
      model_type: "llava_next",
      architectures: ["LlavaNextForConditionalGeneration"],
      ...textModel,
      text_config: { model_type: "qwen2", ...textModel },
      image_token_index: image.id,
      image_grid_pinpoints,
      vision_config: { model_type: "clip_vision_model", image_size: 336, patch_size: 14 },
      vision_feature_select_strategy: "default",
    },
    preprocessor: {
      image_processor_type: "LlavaNextImageProcessor",
      image_grid_pinpoints,
      size: { shortest_edge: 336 },
      crop_size: { height: 336, width: 336 },
    },
    processor: { processor_class: "LlavaNextProcessor", image_token: image.content, ...strategy },
    placeholder: image.content,
    addedTokens: [image],
  };
}

function mistral3(): FamilyFiles {
  const tokens = ["[IMG]", "[IMG_BREAK]", "[IMG_END]"].map((content, index) => addedToken(index, content));
  return {
    config: {
      model_type: "mistral3",
      architectures: ["Mistral3ForConditionalGeneration"],
      ...textModel,
      text_config: { model_type: "mistral", ...textModel },
      image_token_index: tokens[0]!.id,
      spatial_merge_size: 2,
      vision_config: { model_type: "pixtral", image_size: 1540, patch_size: 14 },
    },
    preprocessor: { image_processor_type: "PixtralImageProcessor", size: { longest_edge: 1540 }, patch_size: 14 },
    processor: { processor_class: "PixtralProcessor", image_token: "[IMG]", patch_size: 14, spatial_merge_size: 2 },
    placeholder: tokens[0]!.content,
    addedTokens: tokens,
  };
}

/** The class inside transformers; its id for images is in the vision part alone. */
function phi4(): FamilyFiles {
  const image = addedToken(0, "<|image|>");
  return {
    config: {
      model_type: "phi4_multimodal",
      architectures: ["Phi4MultimodalForCausalLM"],
      ...textModel,
      vision_config: { model_type: "phi4_multimodal_vision", image_size: 448, patch_size: 14, image_token_id: image.id },
    },
    preprocessor: {
      image_processor_type: "Phi4MultimodalImageProcessorFast",
      size: { height: 448, width: 448 },
      patch_size: 14,
      dynamic_hd: 36,
    },
    processor: { processor_class: "Phi4MultimodalProcessor" },
    placeholder: image.content,
    addedTokens: [image],
  };
}

function addedToken(index: number, content: string): AddedToken {
  return { id: firstFreeId + index, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}
