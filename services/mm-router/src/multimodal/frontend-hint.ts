// Token counts out of a frontend's `mm_routing_info` (Dynamo ≥ 1.4), for images that we cannot read ourselves.
//
//   ours   … <vision_start> <image_pad>           <vision_end> …
//   hint   … <vision_start> <pad of its name>×N   <vision_end> … 0 0 0        filled up to a whole number of blocks
//
// Only a hint: the frontend's counter differs from the processor's for sides under half a factor (multimodal.md §0, fact 9).
import { padValue } from "@mm-router/kv";
import type { MmHash } from "@mm-router/protocol";

/**
 * Tokens per image according to the hint.
 *
 * @param names of the images, in prompt order
 * @returns undefined where the hint does not fit the prompt, token by token
 */
export function hintedCounts(
  tokenIds: Uint32Array,
  placeholderId: number,
  names: readonly MmHash[],
  hint: Uint32Array,
): readonly number[] | undefined {
  const counts: number[] = [];
  let at = 0;
  for (const id of tokenIds) {
    if (id !== placeholderId) {
      if (hint[at++] !== id) return undefined;
      continue;
    }
    const name = names[counts.length];
    if (name === undefined) return undefined;
    const start = at;
    while (hint[at] === padValue(name)) at++;
    if (at === start) return undefined;
    counts.push(at - start);
  }
  return counts.length === names.length ? counts : undefined;
}
