// Names and counts of a request's images, out of what was loaded.
//
//   name    none: –   oov-s1: S1 of the pixels   pad, in-vocab: the request's names, else ours for all (packages/kv, image-name.ts)
//   count   the family's layout for the stored size; the frontend's count where no size could be read
import { hashesOfNames, type IdentityRule, imageNameOf, nameOfHash } from "@mm-router/kv";
import type { MmHash } from "@mm-router/protocol";
import type { AnalysisInput } from "./image-analysis.ts";
import { hintedCounts } from "./frontend-hint.ts";
import type { IdLayout } from "./image-model.ts";
import type { LoadedImage } from "./loaded-image.ts";
import type { DegradeReason } from "./quality.ts";

/** What was found out about one image. */
export interface ImageView {
  readonly mmHash: MmHash | undefined;
  readonly layout: IdLayout | undefined;
  /** Why one of the two is missing; undefined when none is. */
  readonly reason: DegradeReason | undefined;
  /** Why the model's processor refuses this size, as a sentence. */
  readonly impossible: string | undefined;
}

export interface ImageViews {
  /** In prompt order. */
  readonly views: readonly ImageView[];
  readonly identities: readonly string[] | undefined;
  readonly ours: boolean;
  /** At least one count is the frontend's. */
  readonly isHinted: boolean;
}

export function imageViewsOf(input: AnalysisInput, loaded: readonly (LoadedImage | undefined)[], rule: IdentityRule): ImageViews {
  const names = namesOf(input, loaded, rule);
  const counts = frontendCountsOf(input, names.hashes);
  const counted = loaded.map((image, i) => countOf(input, image, counts?.[i]));
  const views = counted.map(({ layout, impossible, reason }, i): ImageView => {
    const mmHash = names.hashes[i];
    const missing = mmHash === undefined ? nameProblem(input, loaded[i], i) : layout === undefined ? reason : undefined;
    return { mmHash, layout, impossible, reason: missing };
  });
  return { views, identities: names.identities, ours: names.ours, isHinted: counted.some(({ isHinted }) => isHinted) };
}

interface Names {
  readonly hashes: readonly (MmHash | undefined)[];
  readonly identities: readonly string[] | undefined;
  readonly ours: boolean;
}

function namesOf({ dialect, images, givenHashes }: AnalysisInput, loaded: readonly (LoadedImage | undefined)[], rule: IdentityRule): Names {
  if (dialect === "none") return { hashes: [], identities: undefined, ours: false };
  if (dialect === "oov-s1") return { hashes: loaded.map((image) => image?.pixels), identities: undefined, ours: false };
  const given = hashesOfNames(givenHashes, images.length);
  if (given !== undefined) return { hashes: given, identities: givenHashes, ours: false };
  const ours = images.map((url, i) => (url === undefined ? undefined : imageNameOf(rule, url, loaded[i]?.content)));
  // The worker ignores a list with a gap, so no image has a name then.
  if (!ours.every((hash) => hash !== undefined)) return { hashes: [], identities: undefined, ours: false };
  return { hashes: ours, identities: ours.map(nameOfHash), ours: true };
}

function nameProblem({ dialect, images }: AnalysisInput, image: LoadedImage | undefined, index: number): DegradeReason {
  if (dialect === "none") return "no-image-events";
  if (images[index] === undefined) return "not-in-request";
  return image?.problem ?? "identity-ignored";
}

function frontendCountsOf(
  { tokenIds, model, frontendTokens }: AnalysisInput,
  hashes: readonly (MmHash | undefined)[],
): readonly number[] | undefined {
  const names = hashes.filter((hash) => hash !== undefined);
  if (frontendTokens === undefined || model.placeholderId === undefined || names.length < hashes.length) return undefined;
  return hintedCounts(tokenIds, model.placeholderId, names, frontendTokens);
}

interface Count {
  readonly layout?: IdLayout;
  readonly impossible?: string;
  readonly reason?: DegradeReason;
  readonly isHinted: boolean;
}

function countOf({ model }: AnalysisInput, image: LoadedImage | undefined, frontendCount: number | undefined): Count {
  if (image?.header === undefined) {
    const id = model.imageTokenId;
    if (frontendCount === undefined || id === undefined) return { reason: image?.problem ?? "not-in-request", isHinted: false };
    return { layout: { runs: [{ id, count: frontendCount }], total: frontendCount }, isHinted: true };
  }
  const layout = model.family?.layout(image.header);
  if (layout === undefined) return { reason: "unknown-family", isHinted: false };
  if (layout.kind === "refused") return { reason: "size-refused", impossible: layout.why, isHinted: false };
  const ids = model.idLayoutOf(layout);
  return ids === undefined ? { reason: "unknown-token", isHinted: false } : { layout: ids, isHinted: false };
}
