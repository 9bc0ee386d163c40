// InternVL 3 and Aya Vision: the image is stretched over the grid of tiles nearest to its shape; with more than one tile the whole image
// is added as another.
//
// Source: InternVLProcessor, AyaVisionProcessor and GotOcr2ImageProcessorFast of transformers 4.57.6.
import { z } from "zod";
import { closestGrid, tileGrids } from "./closest-grid.ts";
import { count, type FamilyFactory, flag, type ImageSize, layoutOf, type JsonFields, readFields, type TokenRun } from "./family.ts";

const gridFields = z.object({
  size: z.object({ height: count(384) }).nullish(),
  crop_to_patches: flag(false),
  min_patches: count(1),
  max_patches: count(12).pipe(z.number().max(1024)),
});

/** Tiles of an image, without the whole image as an extra one. */
function tileCounter(processor: JsonFields): (size: ImageSize) => number {
  const given = readFields(gridFields, processor);
  if (!given.crop_to_patches) return () => 1;
  const grids = tileGrids(given.min_patches, given.max_patches);
  const tile = given.size?.height ?? 384;
  return (size) => {
    const { columns, rows } = closestGrid(size, grids, tile);
    return columns * rows;
  };
}

export const internvl: FamilyFactory = (files) => {
  const { image_seq_length: perTile } = readFields(z.object({ image_seq_length: count(256) }), files.processor);
  const tilesOf = tileCounter(files.processor);
  return {
    name: "internvl",
    placeholder: "<IMG_CONTEXT>",
    imageToken: "<IMG_CONTEXT>",
    layout(size) {
      const tiles = tilesOf(size);
      return layoutOf([one("<img>"), { token: "<IMG_CONTEXT>", count: perTile * (tiles > 1 ? tiles + 1 : 1) }, one("</img>")]);
    },
  };
};

const ayaFields = z.object({ patch_size: count(28), img_size: count(364), downsample_factor: count(1) });

export const ayaVision: FamilyFactory = (files) => {
  const given = readFields(ayaFields, files.processor);
  const perTile = Math.floor(given.img_size / (given.patch_size * given.downsample_factor)) ** 2;
  const tilesOf = tileCounter(files.processor);
  return {
    name: "aya-vision",
    placeholder: "<image>",
    imageToken: "<|IMG_PATCH|>",
    layout: (size) => layoutOf(ayaRuns(tilesOf(size), perTile)),
  };
};

function* ayaRuns(tiles: number, perTile: number): Generator<TokenRun> {
  yield one("<|START_OF_IMG|>");
  for (let tile = 1; tiles > 1 && tile <= tiles; tile++) {
    yield one(`TILE_${tile}`);
    yield { token: "<|IMG_PATCH|>", count: perTile };
  }
  yield one("TILE_GLOBAL");
  yield { token: "<|IMG_PATCH|>", count: perTile };
  yield one("<|END_OF_IMG|>");
}

function one(token: string): TokenRun {
  return { token, count: 1 };
}
