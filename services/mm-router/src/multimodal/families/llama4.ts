// Llama 4: the image is fitted into the canvas of tiles that scales it best; the whole image follows as one more tile.
//
//   <|image_start|>  p p p x p p p x p p p y  …  <|image|> p p p <|image_end|>        x, y: separators of columns and rows
//
// Source: get_best_fit and find_supported_resolutions of llama4/image_processing_llama4_fast.py, Llama4Processor; transformers 4.57.6.
// G1  Scales are 32-bit floats there (torch): two canvases that differ in the eighth digit are equals, and the smaller area wins.
import { z } from "zod";
import { type TileGrid, tileGrids } from "./closest-grid.ts";
import { count, type FamilyFactory, flag, type ImageSize, layoutOf, ratio, readFields, type TokenRun } from "./family.ts";

const fields = z.object({
  size: z.object({ height: count(336), width: count(336) }).nullish(),
  max_patches: count(16).pipe(z.number().max(1024)),
  resize_to_max_canvas: flag(false),
  patch_size: count(14),
  pixel_shuffle_ratio: ratio(0.5),
});

export const llama4: FamilyFactory = (files) => {
  const given = readFields(fields, files.processor);
  const tile = given.size?.height ?? 336;
  const grids = tileGrids(1, given.max_patches);
  const perTile = Math.floor(Math.floor(tile / given.patch_size) ** 2 / Math.round(1 / given.pixel_shuffle_ratio ** 2));
  return {
    name: "llama4",
    placeholder: "<|image|>",
    imageToken: "<|patch|>",
    layout: (size) => layoutOf(runsOf(bestFit(size, grids, tile, given.resize_to_max_canvas), perTile)),
  };
};

function bestFit({ width, height }: ImageSize, grids: readonly TileGrid[], tile: number, isMaxCanvas: boolean): TileGrid {
  const fits = grids.map((grid) => ({
    grid,
    scale: Math.min(Math.fround((tile * grid.columns) / width), Math.fround((tile * grid.rows) / height)),
  }));
  const upscaling = fits.filter((fit) => fit.scale >= 1).map((fit) => fit.scale);
  const scales = upscaling.length > 0 ? upscaling : fits.map((fit) => fit.scale);
  const scale = upscaling.length > 0 && !isMaxCanvas ? Math.min(...scales) : Math.max(...scales);
  // Grids come by area, so the first of equals is the smallest.
  return fits.find((fit) => fit.scale === scale)?.grid ?? { columns: 1, rows: 1 };
}

function* runsOf({ columns, rows }: TileGrid, perTile: number): Generator<TokenRun> {
  const patches = { token: "<|patch|>", count: perTile };
  yield { token: "<|image_start|>", count: 1 };
  for (let row = 0; columns * rows > 1 && row < rows; row++) {
    for (let column = 1; column <= columns; column++) {
      yield patches;
      yield { token: column < columns ? "<|tile_x_separator|>" : "<|tile_y_separator|>", count: 1 };
    }
  }
  yield { token: "<|image|>", count: 1 };
  yield patches;
  yield { token: "<|image_end|>", count: 1 };
}
