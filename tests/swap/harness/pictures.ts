// Pictures of one size that no other test of a cell uses: what must be told apart although every count is the same.
import { solidPng } from "@mm-router/testkit";

/** 336 × 336 pixels are 144 tokens for Qwen2-VL: 12 × 12 squares of 28 pixels. */
export const pictureTokens = 144;

let used = 0;

export function uniquePicture(): Buffer {
  return solidPng(336, 336, 0x101010 + 0x010305 * used++);
}
