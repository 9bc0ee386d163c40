// Families whose images all stand for the same number of tokens.
//
// Source: MllamaProcessor (cross attention: the image stays one token) and DeepseekVLProcessor of transformers 4.57.6.
import { z } from "zod";
import { count, type FamilyFactory, type ImageFamily, layoutOf, readFields } from "./family.ts";

export const mllama: FamilyFactory = () => fixed("mllama", "<|image|>", 1);

export const deepseekVl: FamilyFactory = (files) => {
  const given = readFields(z.object({ num_image_tokens: count(576) }), files.processor);
  return fixed("deepseek-vl", "<image_placeholder>", given.num_image_tokens);
};

function fixed(name: string, token: string, tokens: number): ImageFamily {
  const layout = layoutOf([{ token, count: tokens }]);
  return { name, placeholder: token, imageToken: token, layout: () => layout };
}
