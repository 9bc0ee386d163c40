// Phi-4-multimodal (the class inside transformers, not the checkpoint's remote code): tiles of 448 pixels, padding masked out.
//
//   tokens = 256 + 1 (whole image)  +  visible tokens of the tiled image  +  its rows  +  16
//
// Source: dynamic_preprocess and _preprocess of Phi4MultimodalImageProcessorFast, transformers 4.57.6.
// G1  The image keeps its ratio inside the grid: either the width or the height is filled, the rest is padding on the right or below.
// G2  The mask has one cell per 14 pixels and is halved to tokens, odd counts upwards.
import { z } from "zod";
import { closestGrid, type TileGrid, tileGrids } from "./closest-grid.ts";
import { count, type FamilyFactory, type ImageSize, layoutOf, readFields, refused } from "./family.ts";

const placeholder = "<|image|>";
/** A resized side below this makes the processor raise. */
const sideMin = 10;
/** Tokens of the whole image, its separator, and the newline column of its 16 rows. */
const globalTokens = 256 + 1 + 16;

const fields = z.object({
  size: z.object({ height: count(448), width: count(448) }).nullish(),
  patch_size: count(14),
  dynamic_hd: count(36),
});

export const phi4: FamilyFactory = (files) => {
  const given = readFields(fields, files.processor);
  const tile = given.size?.height ?? 448;
  const grids = tileGrids(1, given.dynamic_hd);
  return {
    name: "phi4",
    placeholder,
    imageToken: placeholder,
    layout(size) {
      const grid = gridOf(size, grids, given.dynamic_hd, tile);
      const filled = filledPixels(size, grid, tile);
      if (Math.min(filled.width, filled.height) < sideMin) {
        return refused(`the image is ${size.width} × ${size.height} pixels; the model cannot take so extreme a ratio`);
      }
      const columns = visibleTokens(grid.columns, tile, filled.width, given.patch_size);
      const rows = visibleTokens(grid.rows, tile, filled.height, given.patch_size);
      return layoutOf([{ token: placeholder, count: globalTokens + rows * columns + rows }]);
    },
  };
};

function gridOf(size: ImageSize, grids: readonly TileGrid[], tilesMax: number, tile: number): TileGrid {
  const columns = Math.ceil(size.width / tile);
  const rows = Math.ceil(size.height / tile);
  return columns * rows > tilesMax ? closestGrid(size, grids, tile) : { columns, rows };
}

function filledPixels({ width, height }: ImageSize, grid: TileGrid, tile: number): ImageSize {
  const byWidth = (tile * grid.columns) / width;
  const byHeight = (tile * grid.rows) / height;
  if (byWidth < byHeight) return { width: tile * grid.columns, height: Math.trunc(height * byWidth) };
  return { width: Math.trunc(width * byHeight), height: tile * grid.rows };
}

function visibleTokens(tiles: number, tile: number, filled: number, patch: number): number {
  const padding = tile * tiles - filled;
  const cells = Math.floor(tile / patch) * tiles - Math.floor(padding / patch);
  return Math.ceil(cells / 2);
}
