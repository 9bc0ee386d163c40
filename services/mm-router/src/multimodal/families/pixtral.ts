// Pixtral and Mistral 3: rows of image tokens, each closed by a break, the last by an end mark.
//
//   [IMG] [IMG] [IMG] [IMG_BREAK]          P = patch × spatial merge; the longest edge is first brought down to `longest_edge`
//   [IMG] [IMG] [IMG] [IMG_END]            rows = (h−1) div P + 1, columns likewise
//
// Source: PixtralProcessor and get_resize_output_image_size of transformers 4.57.6.
// G1  Both edges are floored after the division: a side that ends at 0 pixels cannot be resized to, and the processor raises.
// G2  pixtral-12b's config.json calls itself `llava`; index.ts looks further.
import { z } from "zod";
import { count, type FamilyFactory, type ImageSize, layoutOf, readFields, refused, type TokenRun } from "./family.ts";

const fields = z.object({
  /** The processor's own is a number; an image processor's `{height, width}` is overruled by the class default. */
  patch_size: z.union([count(16), z.object({}).transform(() => 16)]),
  spatial_merge_size: count(1),
  size: z.object({ longest_edge: count(1024) }).nullish(),
});

export const pixtral: FamilyFactory = (files) => {
  const given = readFields(fields, files.processor);
  const patch = given.patch_size * given.spatial_merge_size;
  const longestEdge = given.size?.longest_edge ?? 1024;
  return {
    name: "pixtral",
    placeholder: "[IMG]",
    imageToken: "[IMG]",
    layout(size) {
      const resized = shrink(size, longestEdge);
      if (Math.min(resized.width, resized.height) > 0) return layoutOf(rowsOf(resized, patch));
      return refused(`the image is ${size.width} × ${size.height} pixels; nothing would remain of its shorter side`);
    },
  };
};

function* rowsOf({ width, height }: ImageSize, patch: number): Generator<TokenRun> {
  const rows = Math.floor((height - 1) / patch) + 1;
  const columns = Math.floor((width - 1) / patch) + 1;
  for (let row = 1; row <= rows; row++) {
    yield { token: "[IMG]", count: columns };
    yield { token: row < rows ? "[IMG_BREAK]" : "[IMG_END]", count: 1 };
  }
}

function shrink({ width, height }: ImageSize, longestEdge: number): ImageSize {
  const scale = Math.max(height / longestEdge, width / longestEdge);
  return scale > 1 ? { width: Math.floor(width / scale), height: Math.floor(height / scale) } : { width, height };
}
