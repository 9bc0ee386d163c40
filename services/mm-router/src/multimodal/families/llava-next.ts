// LLaVA-NeXT and LLaVA-OneVision: the image is fitted into the best of several grids of tiles, the padding is cut off again, and the
// whole image follows once more as a single tile.
//
//   best grid → ch × cw patches   − padding rows or columns   → tokens = ch·cw + ch (a newline per row) + one tile
//
// Source: _get_number_of_features and _get_unpadded_features of LlavaNextProcessor and LlavaOnevisionProcessor, and
// select_best_resolution, transformers 4.57.6.
// G1  Grids are (height, width) and tried in the order of the file: the first of equals wins.
// G2  OneVision shrinks a grid beyond `anyres_max_N` with Python's float `//` (rounding.ts).
import { z } from "zod";
import { count, type FamilyFactory, type ImageSize, layoutOf, readFields } from "./family.ts";
import { extraTokens } from "./llava.ts";
import { floorDivide, truncateRounded7 } from "./rounding.ts";

const placeholder = "<image>";

type Grid = readonly [height: number, width: number];
const grids = z.array(z.tuple([z.number().int().min(1), z.number().int().min(1)])).min(1);

const nextFields = z.object({
  patch_size: z.number().int().min(1),
  crop_size: z.object({ height: count(224), width: count(224) }).nullish(),
  image_grid_pinpoints: grids.nullish(),
  num_additional_image_tokens: z.number().int().min(0).nullish(),
  vision_feature_select_strategy: z.string().nullish(),
});

const nextGrids: readonly Grid[] = [
  [336, 672],
  [672, 336],
  [672, 672],
  [1008, 336],
  [336, 1008],
];

export const llavaNext: FamilyFactory = (files) => {
  const given = readFields(nextFields, files.processor);
  const base = given.crop_size?.height ?? 224;
  const side = Math.floor(base / given.patch_size);
  const pinpoints = given.image_grid_pinpoints ?? nextGrids;
  return family("llava-next", (size) => {
    const { rows, columns } = unpadded(size, gridPatches(size, pinpoints, base, side));
    return rows * columns + rows + side * side + extraTokens(given);
  });
};

const onevisionFields = z.object({
  size: z.object({ height: count(384) }).nullish(),
  image_grid_pinpoints: grids.nullish(),
  num_image_tokens: count(729),
  vision_feature_select_strategy: z.string().nullish(),
  vision_aspect_ratio: z
    .string()
    .regex(/^anyres_max_\d+$/)
    .nullish(),
});

export const llavaOnevision: FamilyFactory = (files) => {
  const given = readFields(onevisionFields, files.processor);
  const base = given.size?.height ?? 384;
  const side = Math.floor(Math.sqrt(given.num_image_tokens));
  const pinpoints = given.image_grid_pinpoints ?? squareGrids(base, 6);
  const tilesMax = Number((given.vision_aspect_ratio ?? "anyres_max_9").slice("anyres_max_".length));
  return family("llava-onevision", (size) => {
    const cut = unpadded(size, gridPatches(size, pinpoints, base, side));
    const { rows, columns } = shrunk(cut, tilesMax * side * side);
    return rows * columns + rows + given.num_image_tokens + extraTokens(given);
  });
};

function family(name: string, tokens: (size: ImageSize) => number) {
  return {
    name,
    placeholder,
    imageToken: placeholder,
    layout: (size: ImageSize) => layoutOf([{ token: placeholder, count: tokens(size) }]),
  };
}

/** Every (i·base, j·base) up to `sideMax` tiles a side, row by row. */
function squareGrids(base: number, sideMax: number): Grid[] {
  const steps = Array.from({ length: sideMax }, (_, i) => (i + 1) * base);
  return steps.flatMap((height) => steps.map((width): Grid => [height, width]));
}

interface Patches {
  readonly rows: number;
  readonly columns: number;
}

function gridPatches(size: ImageSize, pinpoints: readonly Grid[], base: number, side: number): Patches {
  const [height, width] = bestGrid(size, pinpoints);
  return { rows: side * Math.floor(height / base), columns: side * Math.floor(width / base) };
}

/** The grid that keeps most of the image's pixels; among equals the one that wastes least. */
function bestGrid({ width, height }: ImageSize, pinpoints: readonly Grid[]): Grid {
  let best = pinpoints[0] as Grid; // the schema asks for at least one
  let mostKept = 0;
  let leastWasted = Number.POSITIVE_INFINITY;
  for (const grid of pinpoints) {
    const [gridHeight, gridWidth] = grid;
    const scale = Math.min(gridWidth / width, gridHeight / height);
    const kept = Math.min(Math.trunc(width * scale) * Math.trunc(height * scale), width * height);
    const wasted = gridWidth * gridHeight - kept;
    if (kept > mostKept || (kept === mostKept && wasted < leastWasted)) {
      best = grid;
      mostKept = kept;
      leastWasted = wasted;
    }
  }
  return best;
}

/** Cuts off the rows or columns that hold nothing but padding, equally on both sides. */
function unpadded({ width, height }: ImageSize, { rows, columns }: Patches): Patches {
  if (width / height > columns / rows) {
    const filled = truncateRounded7(height * (columns / width));
    return { rows: rows - 2 * Math.floor((rows - filled) / 2), columns };
  }
  const filled = truncateRounded7(width * (rows / height));
  return { rows, columns: columns - 2 * Math.floor((columns - filled) / 2) };
}

function shrunk({ rows, columns }: Patches, patchesMax: number): Patches {
  const excess = Math.sqrt((rows * columns) / patchesMax);
  return excess > 1.1 ? { rows: floorDivide(rows, excess), columns: floorDivide(columns, excess) } : { rows, columns };
}
