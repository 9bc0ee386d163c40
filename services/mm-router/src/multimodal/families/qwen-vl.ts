// Qwen2-VL, Qwen2.5-VL, Qwen3-VL and GLM-4V: resize to multiples of f = patch × merge within a pixel budget; one token per f × f square.
//
//   hb = round(h/f)·f, wb = round(w/f)·f          then scaled down or up by sqrt(budget) where hb·wb leaves [min, max]
//   tokens = (hb/f) · (wb/f)
//
// Source: smart_resize of transformers 4.57.6, qwen2_vl/image_processing_qwen2_vl.py and glm4v/image_processing_glm4v.py.
// G1  GLM-4V counts pixels of `temporal_patch_size` frames, in both tests and in the scale, and refuses sides below f.
// G2  `size.shortest_edge` and `size.longest_edge` are pixel *counts*. Top-level `min_pixels` and `max_pixels` go before them.
// G3  The order of operations is Python's: h/scale/f is not h/(scale·f).
import { z } from "zod";
import { count, type FamilyFactory, type ImageFamily, type ImageSize, layoutOf, optionalCount, readFields, refused } from "./family.ts";
import { roundHalfEven } from "./rounding.ts";

const aspectRatioMax = 200;

const fields = z.object({
  patch_size: count(14),
  merge_size: count(2),
  temporal_patch_size: count(2),
  min_pixels: optionalCount,
  max_pixels: optionalCount,
  size: z.object({ shortest_edge: optionalCount, longest_edge: optionalCount }).nullish(),
});

interface Budget {
  /** Side of the square that becomes one token, pixels. */
  readonly factor: number;
  /** Frames that one image counts as. */
  readonly frames: number;
  readonly pixelsMin: number;
  readonly pixelsMax: number;
}

/** Class defaults of Qwen2VLImageProcessorFast: 56², 28²·1280. */
export const qwenVl: FamilyFactory = (files) => {
  const budget = budgetOf(files.processor, { min: 3_136, max: 1_003_520, manyFrames: false });
  return family("qwen-vl", "<|image_pad|>", budget, (size) => extremeRatio(size));
};

/** Class defaults of Glm4vImageProcessorFast: 112², 28²·15000. */
export const glm4v: FamilyFactory = (files) => {
  const budget = budgetOf(files.processor, { min: 12_544, max: 11_760_000, manyFrames: true });
  return family("glm4v", "<|image|>", budget, (size) => {
    if (Math.min(size.width, size.height) >= budget.factor) return extremeRatio(size);
    return `the image is ${size.width} × ${size.height} pixels; the model takes sides of at least ${budget.factor}`;
  });
};

function budgetOf(processor: Record<string, unknown>, defaults: { min: number; max: number; manyFrames: boolean }): Budget {
  const given = readFields(fields, processor);
  return {
    factor: given.patch_size * given.merge_size,
    frames: defaults.manyFrames ? given.temporal_patch_size : 1,
    pixelsMin: given.min_pixels ?? given.size?.shortest_edge ?? defaults.min,
    pixelsMax: given.max_pixels ?? given.size?.longest_edge ?? defaults.max,
  };
}

function family(name: string, token: string, budget: Budget, whyRefused: (size: ImageSize) => string | undefined): ImageFamily {
  return {
    name,
    placeholder: token,
    imageToken: token,
    layout(size) {
      const why = whyRefused(size);
      return why === undefined ? layoutOf([{ token, count: squares(size, budget) }]) : refused(why);
    },
  };
}

function extremeRatio({ width, height }: ImageSize): string | undefined {
  if (Math.max(width, height) / Math.min(width, height) <= aspectRatioMax) return undefined;
  return `the image is ${width} × ${height} pixels; the model takes aspect ratios up to ${aspectRatioMax}`;
}

function squares({ width, height }: ImageSize, { factor, frames, pixelsMin, pixelsMax }: Budget): number {
  let rows = roundHalfEven(height / factor);
  let columns = roundHalfEven(width / factor);
  const pixels = frames * rows * factor * columns * factor;
  if (pixels > pixelsMax) {
    const scale = Math.sqrt((frames * height * width) / pixelsMax);
    rows = Math.max(1, Math.floor(height / scale / factor));
    columns = Math.max(1, Math.floor(width / scale / factor));
  } else if (pixels < pixelsMin) {
    const scale = Math.sqrt(pixelsMin / (frames * height * width));
    rows = Math.ceil((height * scale) / factor);
    columns = Math.ceil((width * scale) / factor);
  }
  return rows * columns;
}
