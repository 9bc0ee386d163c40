// `mmr expand`: the tokens that a worker's events hash for a prompt with images.
//
//   {"model":DIR|id,"token_ids":[…],"images":[{"width","height","mm_hash"}],"dialect","block_size"}
//     →   {"routing_token_ids":[…],"block_mm_infos":[…],"ranges":[[start,end]],"block_hashes":["…"]}
//
// `block_mm_infos` is what `mmr hash` needs beside the tokens: empty for the dialects that append nothing to a block.
import { blockHashes } from "@mm-router/kv";
import { type ImageModel, type PlacedImage, routingTokensOf } from "@mm-router/mm-router";
import { AppError, type BlockMmInfo, decodeAs, type ImageDialect, type MmHash, u64 } from "@mm-router/protocol";
import { z } from "zod";
import { imageModels } from "../image-models.ts";
import type { LineCommand } from "../jsonl.ts";

export const name = "expand";

const u32 = z.int().min(0).max(0xffff_ffff);
const mmHash = z.unknown().transform((value) => u64(value, "mm_hash") as MmHash);

export const schema = z.object({
  model: z.string(),
  token_ids: z.array(u32).transform((tokens) => Uint32Array.from(tokens)),
  images: z.array(z.object({ width: z.int().min(1), height: z.int().min(1), mm_hash: mmHash })).default([]),
  dialect: z.enum(["none", "oov-s1", "pad", "in-vocab"]) satisfies z.ZodType<ImageDialect>,
  block_size: z.int().min(1).max(0xffff_ffff),
});

export function createCommand(): LineCommand {
  const models = imageModels();
  return async (json) => {
    const { token_ids: tokenIds, images, dialect, block_size: blockSize, ...line } = decodeAs(schema, json, name);
    const model = await models.get(line.model);
    const placed = dialect === "none" ? [] : images.map((image) => placedImage(image, model));
    const { tokens, ranges, blockMmInfos } = routingTokensOf({ tokenIds, images: placed, model, dialect, blockSize });
    return {
      routing_token_ids: Array.from(tokens),
      block_mm_infos: (blockMmInfos ?? []).map(infoAsText),
      ranges: ranges.map(({ start, end }) => [start, end]),
      block_hashes: Array.from(blockHashes({ tokens, blockSize, blockMmInfos }), String),
    };
  };
}

function placedImage(image: z.output<typeof schema>["images"][number], model: ImageModel): PlacedImage {
  const layout = model.family?.layout(image);
  if (layout === undefined) throw new AppError("unsupported", `no token counts for model type ${model.modelType}`);
  if (layout.kind === "refused") throw new AppError("invalid_request", layout.why);
  const ids = model.idLayoutOf(layout);
  if (ids === undefined) throw new AppError("configuration", "the model's vocabulary lacks a token of the image layout");
  return { layout: ids, mmHash: image.mm_hash };
}

function infoAsText(info: BlockMmInfo | null): object | null {
  return info && { mm_objects: info.mm_objects.map(({ mm_hash, offsets }) => ({ mm_hash: mm_hash.toString(), offsets })) };
}
