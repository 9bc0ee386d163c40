// The grid of tiles whose shape is nearest to the image's, as InternVL, Aya Vision and Phi-4-multimodal choose it.
import type { ImageSize } from "./family.ts";

export interface TileGrid {
  readonly columns: number;
  readonly rows: number;
}

/** All grids of `tilesMin` to `tilesMax` tiles, by tiles, equals by columns. */
export function tileGrids(tilesMin: number, tilesMax: number): TileGrid[] {
  const grids: TileGrid[] = [];
  for (let columns = 1; columns <= tilesMax; columns++) {
    for (let rows = Math.ceil(tilesMin / columns); rows * columns <= tilesMax; rows++) grids.push({ columns, rows });
  }
  return grids.sort((a, b) => a.columns * a.rows - b.columns * b.rows || a.columns - b.columns);
}

/**
 * @param grids in the order of `tileGrids`
 * @param tile  side of a tile, pixels
 * @returns the grid of the nearest aspect ratio; of equally near ones the larger, as long as the image fills more than half of it
 */
export function closestGrid({ width, height }: ImageSize, grids: readonly TileGrid[], tile: number): TileGrid {
  let best: TileGrid = { columns: 1, rows: 1 };
  let nearest = Number.POSITIVE_INFINITY;
  for (const grid of grids) {
    const distance = Math.abs(width / height - grid.columns / grid.rows);
    const isLargerEqual = distance === nearest && width * height > 0.5 * tile * tile * grid.columns * grid.rows;
    if (distance < nearest || isLargerEqual) best = grid;
    nearest = Math.min(nearest, distance);
  }
  return best;
}
