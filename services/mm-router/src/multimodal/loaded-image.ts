// What is known of one image.
import type { MmHash } from "@mm-router/protocol";
import type { ImageHeader } from "./image-format.ts";
import type { ImageNeed } from "./image-intake.ts";
import type { DegradeReason } from "./quality.ts";

export interface LoadedImage {
  /** Also where there is a problem, if enough of the file came. */
  readonly header: ImageHeader | undefined;
  readonly content: MmHash | undefined;
  /** S1, the hash that workers of 1.0 and 1.2 publish. */
  readonly pixels: MmHash | undefined;
  /** Why something asked for is missing. */
  readonly problem: DegradeReason | undefined;
}

/** A file that cannot be decoded is sufficient too: asking again would give the same. */
export function isSufficient(image: LoadedImage | undefined, need: ImageNeed): image is LoadedImage {
  switch (need) {
    case "size":
      return image?.header !== undefined;
    case "content":
      return image?.content !== undefined;
    case "pixels":
      return image !== undefined && (image.pixels !== undefined || image.problem !== undefined);
  }
}
