// Gemma 3: 256 soft tokens per image; with pan-and-scan (off by default) crops of long images are added, told in words.
//
//   "\n\n" <start_of_image> <image_soft_token>×256 <end_of_image> "\n\n"
//
// Source: Gemma3Processor and pan_and_scan_batched of transformers 4.57.6.
// G1  Rounding here is half *up*: floor(ratio + 0.5).
// G2  The words between the crops are text. A layout has one token per word and none per space; what a tokenizer makes of them may differ,
//     so with pan-and-scan only the number of image blocks is sure.
import { z } from "zod";
import { count, type FamilyFactory, flag, type ImageSize, layoutOf, ratio, readFields, type TokenRun } from "./family.ts";

const fields = z.object({
  image_seq_length: count(256),
  do_pan_and_scan: flag(false),
  pan_and_scan_min_crop_size: count(256),
  pan_and_scan_max_num_crops: count(4),
  pan_and_scan_min_ratio_to_activate: ratio(1.2),
});
type Fields = z.output<typeof fields>;

export const gemma3: FamilyFactory = (files) => {
  const given = readFields(fields, files.processor);
  return {
    name: "gemma3",
    placeholder: "<start_of_image>",
    imageToken: "<image_soft_token>",
    layout: (size) => layoutOf(runsOf(given.do_pan_and_scan ? cropsOf(size, given) : 0, given.image_seq_length)),
  };
};

function* runsOf(crops: number, softTokens: number): Generator<TokenRun> {
  if (crops === 0) {
    yield* imageRuns(softTokens);
    return;
  }
  yield* words("Here is the original image");
  yield* imageRuns(softTokens);
  yield* words("and here are some crops to help you see better");
  for (let crop = 0; crop < crops; crop++) yield* imageRuns(softTokens);
}

function imageRuns(softTokens: number): TokenRun[] {
  return [
    { token: "\n\n", count: 1 },
    { token: "<start_of_image>", count: 1 },
    { token: "<image_soft_token>", count: softTokens },
    { token: "<end_of_image>", count: 1 },
    { token: "\n\n", count: 1 },
  ];
}

function words(text: string): TokenRun[] {
  return text.split(" ").map((token) => ({ token, count: 1 }));
}

function cropsOf({ width, height }: ImageSize, given: Fields): number {
  const long = Math.max(width, height);
  const short = Math.min(width, height);
  if (long / short < given.pan_and_scan_min_ratio_to_activate) return 0;
  const wanted = Math.min(Math.floor(long / given.pan_and_scan_min_crop_size), Math.floor(long / short + 0.5));
  const crops = Math.min(given.pan_and_scan_max_num_crops, Math.max(2, wanted));
  return Math.min(Math.ceil(long / crops), short) < given.pan_and_scan_min_crop_size ? 0 : crops;
}
