// LLaVA-1.5: every image is cropped to one square, so the count does not depend on its size.
//
//   tokens = (crop_height div patch) · (crop_width div patch) + num_additional_image_tokens − (strategy "default" ? 1 : 0)
//
// Source: LlavaProcessor.__call__ of transformers 4.57.6.
// G1  A processor file without `num_additional_image_tokens` counts 0 of them: LLaVA-1.5 then has 575 tokens, one less than its model.
import { z } from "zod";
import { count, type FamilyFactory, layoutOf, readFields } from "./family.ts";

const placeholder = "<image>";

const fields = z.object({
  /** The class has no default: without it the real processor fails. */
  patch_size: z.number().int().min(1),
  crop_size: z.object({ height: count(224), width: count(224) }).nullish(),
  num_additional_image_tokens: z.number().int().min(0).nullish(),
  vision_feature_select_strategy: z.string().nullish(),
});

export const llava: FamilyFactory = (files) => {
  const given = readFields(fields, files.processor);
  const { height, width } = given.crop_size ?? { height: 224, width: 224 };
  const patches = Math.floor(height / given.patch_size) * Math.floor(width / given.patch_size);
  const layout = layoutOf([{ token: placeholder, count: patches + extraTokens(given) }]);
  return { name: "llava", placeholder, imageToken: placeholder, layout: () => layout };
};

/** Tokens besides the patches: the class token, unless the strategy drops it. */
export function extraTokens(given: {
  num_additional_image_tokens?: number | null | undefined;
  vision_feature_select_strategy?: string | null | undefined;
}): number {
  return (given.num_additional_image_tokens ?? 0) - (given.vision_feature_select_strategy === "default" ? 1 : 0);
}
