// `mmr image-tokens`: how many tokens a model uses for an image of a size, and which.
//
//   {"model":DIR|id} | {"model_type","config"?,"processor"?}, with "width","height"   →   {"image_tokens":n,"pattern":[[repeat,[[token,n],…]],…]}
import { familyOf, type ImageFamily, knownModelTypes, tokenPattern } from "@mm-router/mm-router";
import { AppError, decodeAs } from "@mm-router/protocol";
import { z } from "zod";
import { imageModels } from "../image-models.ts";
import type { LineCommand } from "../jsonl.ts";

export const name = "image-tokens";

const fields = z.record(z.string(), z.unknown());

export const schema = z
  .object({
    model: z.string().optional(),
    model_type: z.string().optional(),
    config: fields.optional(),
    processor: fields.optional(),
    width: z.int().min(1),
    height: z.int().min(1),
  })
  .refine(({ model, model_type }) => (model === undefined) !== (model_type === undefined), "either model or model_type is needed");

export function createCommand(): LineCommand {
  const models = imageModels();
  return async (json) => {
    const { model, model_type, config, processor, width, height } = decodeAs(schema, json, name);
    const family =
      model === undefined ? knownFamily(model_type ?? "", config ?? {}, processor ?? {}) : familyIn(await models.get(model), model);
    const layout = family.layout({ width, height });
    if (layout.kind === "refused") throw new AppError("invalid_request", layout.why);
    return { image_tokens: layout.total, pattern: tokenPattern(layout.runs) };
  };
}

/** @throws AppError `unsupported` for a model type without arithmetic */
export function knownFamily(modelType: string, config: Record<string, unknown>, processor: Record<string, unknown>): ImageFamily {
  const family = familyOf({ modelType, config, processor });
  if (family === undefined) throw unsupported(modelType);
  return family;
}

function familyIn({ family, modelType }: { family: ImageFamily | undefined; modelType: string }, model: string): ImageFamily {
  if (family === undefined) throw unsupported(`${modelType} (${model})`);
  return family;
}

function unsupported(what: string): AppError {
  return new AppError("unsupported", `no token counts for model type ${what}; known are ${knownModelTypes.join(", ")}`);
}
