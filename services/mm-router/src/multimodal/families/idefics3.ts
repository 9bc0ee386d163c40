// Idefics3 and SmolVLM: the longer side is scaled to `size.longest_edge`, the image cut into tiles, the whole image added.
//
//   <fake> <row_1_col_1> <image>×n  <fake> <row_1_col_2> <image>×n  \n  …  \n\n  <fake> <global-img> <image>×n <fake>
//
// Source: image_processing_idefics3_fast.py and processing_idefics3.py of transformers 4.57.6 (SmolVLM has copies of both).
// G1  After the last row come its newline and another: one token "\n\n" in these vocabularies.
// G2  One tile: only the global part.
import { z } from "zod";
import { count, type FamilyFactory, flag, type ImageSize, layoutOf, readFields, type TokenRun } from "./family.ts";

/** Both classes cap what they resize to, whatever the files say. */
const sideMax = 4096;

const edge = (fallback: number) => z.object({ longest_edge: count(fallback) }).nullish();
const fields = z.object({
  size: edge(1456),
  max_image_size: edge(364),
  image_seq_len: count(169),
  do_image_splitting: flag(true),
});

export const idefics3: FamilyFactory = (files) => {
  const given = readFields(fields, files.processor);
  const longestEdge = given.size?.longest_edge ?? 1456;
  const tile = given.max_image_size?.longest_edge ?? 364;
  return {
    name: "idefics3",
    placeholder: "<image>",
    imageToken: "<image>",
    layout(size) {
      const grid = given.do_image_splitting ? gridOf(capped(scaled(size, longestEdge)), tile) : { rows: 1, columns: 1 };
      return layoutOf(runsOf(grid, given.image_seq_len));
    },
  };
};

/** The longer side becomes `longestEdge`, the other keeps the ratio and is made even. */
function scaled({ width, height }: ImageSize, longestEdge: number): ImageSize {
  const aspect = width / height;
  const other = Math.trunc(width >= height ? longestEdge / aspect : longestEdge * aspect);
  const even = Math.max(1, other % 2 === 0 ? other : other + 1);
  return width >= height ? { width: longestEdge, height: even } : { width: even, height: longestEdge };
}

function capped({ width, height }: ImageSize): ImageSize {
  if (Math.max(width, height) <= sideMax) return { width, height };
  const aspect = width / height;
  if (width >= height) return { width: sideMax, height: Math.max(1, Math.trunc(sideMax / aspect)) };
  return { width: Math.max(1, Math.trunc(sideMax * aspect)), height: sideMax };
}

interface Grid {
  readonly rows: number;
  readonly columns: number;
}

/** The longer side is rounded up to whole tiles, the other follows by ratio and is rounded up in turn. */
function gridOf({ width, height }: ImageSize, tile: number): Grid {
  const aspect = width / height;
  if (width >= height) {
    const columns = Math.ceil(width / tile);
    return { columns, rows: Math.ceil(Math.trunc((columns * tile) / aspect) / tile) };
  }
  const rows = Math.ceil(height / tile);
  return { rows, columns: Math.ceil(Math.trunc(rows * tile * aspect) / tile) };
}

function* runsOf({ rows, columns }: Grid, perTile: number): Generator<TokenRun> {
  const fake = { token: "<fake_token_around_image>", count: 1 };
  const content = { token: "<image>", count: perTile };
  for (let row = 1; rows * columns > 1 && row <= rows; row++) {
    for (let column = 1; column <= columns; column++) {
      yield fake;
      yield { token: `<row_${row}_col_${column}>`, count: 1 };
      yield content;
    }
    yield { token: row < rows ? "\n" : "\n\n", count: 1 };
  }
  yield fake;
  yield { token: "<global-img>", count: 1 };
  yield content;
  yield fake;
}
