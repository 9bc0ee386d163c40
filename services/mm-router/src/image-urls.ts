// Images in OpenAI messages, for workers that build their prompt from them.
//
// A 1.6 frontend empties them there and sends them in `multi_modal_data` alone; a 0.9 worker builds its prompt from the
// messages and would get an image without a source (golden/multimodal/frontend_requests.json).
import type { LosslessJson } from "@mm-router/protocol";

/**
 * Fills the empty URLs of `image_url` parts, the n-th part with the n-th image.
 *
 * @param images the request's images, in prompt order
 * @returns the messages changed in place, or undefined when no URL was empty
 */
export function restoreImageUrls(messages: LosslessJson, images: readonly (string | undefined)[]): LosslessJson | undefined {
  let restored = false;
  for (const [index, image] of imageParts(messages).entries()) {
    const url = images[index];
    if (image.get("url") !== "" || url === undefined) continue;
    image.set("url", url);
    restored = true;
  }
  return restored ? messages : undefined;
}

/**
 * Whether the prompt that a 0.9 worker builds begins as ours: it puts all images into one user message, before the texts of all messages
 * (golden/worker/mm-0.9.1.json: every image at token 15, behind the template's head, whatever stood before it).
 */
export function startsWithImage(messages: LosslessJson): boolean {
  const [first] = mapsIn(messages);
  const [part] = mapsIn(first?.get("content"));
  return first?.get("role") === "user" && part?.get("type") === "image_url";
}

type JsonMap = Map<string, LosslessJson>;

/** The `image_url` objects of all parts, in prompt order. */
function imageParts(messages: LosslessJson): JsonMap[] {
  return mapsIn(messages)
    .flatMap((message) => mapsIn(message.get("content")))
    .flatMap((part) => part.get("image_url") ?? [])
    .filter((image) => image instanceof Map);
}

function mapsIn(value: LosslessJson | undefined): JsonMap[] {
  return Array.isArray(value) ? value.filter((item) => item instanceof Map) : [];
}
