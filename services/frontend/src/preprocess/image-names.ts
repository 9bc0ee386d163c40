// Names of a chat's pictures, where the request itself tells them. Workers ≥ 1.4 and mm-router take given names as they are, so a picture
// that was named here is not hashed again on its way. What a name is: packages/kv, image-name.ts, the same for both services.
//
//   content   every picture is a data: URL that can be read    of its bytes: mm-router gives the same name to the file behind any URL
//   url       any pictures                                     of its URL, as Dynamo's frontends ≥ 1.4 name it
//   no names  a picture has to be downloaded; uuids name them; options change what is made of them: mm-router sees to it
//
// Source: Dynamo 1.6.1 sends none beside uuids and mm_processor_kwargs; golden frontend img.*.
// I1  All pictures of a request or none: a worker ignores a list with gaps.
// I2  Nothing is refused here: a picture that cannot be read has no name.
import { ContentHash, dataUrlPieces, type IdentityRule, imageNameOf, isDataUrl, mmHashOf, nameOfHash } from "@mm-router/kv";
import { ImageProblem, type MmHash } from "@mm-router/protocol";
import { onePerTurn } from "@mm-router/runtime";
import type { ChatMembers } from "./chat-request.ts";
import type { RequestLimits } from "./limits.ts";
import type { MediaReferences } from "./media.ts";

export interface NamingRules extends Pick<RequestLimits, "dataUrlLengthMax"> {
  readonly imageIdentity: IdentityRule;
}

/** @returns 16 hex digits per picture, in prompt order */
export async function imageNames(
  media: MediaReferences | undefined,
  { mm_processor_kwargs: options }: Pick<ChatMembers, "mm_processor_kwargs">,
  { imageIdentity, dataUrlLengthMax }: NamingRules,
): Promise<readonly string[] | undefined> {
  if (media === undefined || media.imageUrls.length === 0 || media.uuids !== undefined || options !== undefined) return undefined;
  if (imageIdentity === "url") return media.imageUrls.map((url) => nameOfHash(imageNameOf("url", url, undefined)));
  if (!media.imageUrls.every(isDataUrl)) return undefined;
  const names: string[] = [];
  for (const url of media.imageUrls) {
    const content = await contentOf(url, dataUrlLengthMax);
    if (content === undefined) return undefined;
    names.push(nameOfHash(imageNameOf("content", url, content)));
  }
  return names;
}

async function contentOf(url: string, urlBytesMax: number): Promise<MmHash | undefined> {
  const hash = new ContentHash();
  try {
    for await (const bytes of onePerTurn(dataUrlPieces(url, urlBytesMax))) hash.update(bytes);
    return mmHashOf(hash.digest());
  } catch (error) {
    if (error instanceof ImageProblem) return undefined;
    throw error;
  }
}
