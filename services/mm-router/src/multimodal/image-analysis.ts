// A request's images, as one kind of worker will see them: routing tokens, block infos, names, and how sure all of it is.
//
//   tokens + URLs ─ what does the dialect need? ─ load (parallel) ─ name and count each (image-views.ts) ─ expand ─► Analysis
//
//   dialect     needs of an image       none: only text before the first image can match
//   oov-s1      its pixels
//   pad,        names given: its size
//   in-vocab    names ours:  its bytes ("content"), or its size ("url")
//
// I1  An image problem is never fatal: the blocks before that image remain, with the reason. Refusals are worker-guard.ts' alone.
// I2  A request without images costs nothing: nothing is loaded, no token copied.
// I3  Rejects with the signal's reason when the caller leaves, else only for faults of this program.
import { hashesOfNames, type IdentityRule, type ImageRange, isDataUrl } from "@mm-router/kv";
import type { AppError, BlockMmInfo, Dialect, ImageDialect } from "@mm-router/protocol";
import { boundedMap } from "./bounded-map.ts";
import { beforeImage, countOf, type PlacedImage, routingTokensOf } from "./expand-tokens.ts";
import type { JsonFields } from "./families/family.ts";
import type { ImageNeed } from "./image-intake.ts";
import type { ImageLoader } from "./image-loader.ts";
import type { ImageModel } from "./image-model.ts";
import { imageViewsOf, type ImageViews } from "./image-views.ts";
import type { LoadedImage } from "./loaded-image.ts";
import { type DegradeReason, exact, type Quality } from "./quality.ts";
import { type AddressGuard, impossibleSize, placeholderMismatch, promptTooLong, tooManyImages } from "./worker-guard.ts";

export interface AnalysisInput {
  readonly tokenIds: Uint32Array;
  /** URLs of `multi_modal_data.image_url`, in prompt order and as received; undefined for an image that comes without one. */
  readonly images: readonly (string | undefined)[];
  /** `extra_args.mm_hashes`. */
  readonly givenHashes?: readonly string[] | undefined;
  /** The request names its images by uuids, which no event tells. */
  readonly hasUuids?: boolean;
  /** `mm_routing_info.routing_token_ids`, cut to `expanded_prompt_len`. */
  readonly frontendTokens?: Uint32Array | undefined;
  /** `mm_processor_kwargs`, where the worker honours them. */
  readonly processorOptions?: JsonFields | undefined;
  readonly model: ImageModel;
  readonly blockSize: number;
  readonly dialect: ImageDialect;
  readonly worker: Pick<Dialect, "diesOnBadRequests" | "fetchesPrivateAddresses" | "readsMmHashes">;
  /** The longest prompt that the worker takes, images expanded. */
  readonly promptTokensMax?: number | undefined;
  /** The worker makes another prompt of the request, of which these tokens say nothing. */
  readonly isPromptRebuilt?: boolean;
}

export interface Analysis {
  /** As far as they are sure: where the quality says so, only those before the first image that is not. */
  readonly routingTokens: Uint32Array;
  /** One entry per block of `routingTokens`, the unfinished last one included; undefined where nothing is appended to blocks. */
  readonly blockMmInfos: readonly (BlockMmInfo | null)[] | undefined;
  readonly ranges: readonly ImageRange[];
  /** Length of the whole prompt, expanded as far as it is known: what the worker has to compute. */
  readonly promptTokens: number;
  /** Names of the images for `extra_args.mm_hashes`; undefined where the worker takes none or not all are known. */
  readonly identities: readonly string[] | undefined;
  /** The names are ours: they must go into the forwarded request. */
  readonly ours: boolean;
  readonly quality: Quality;
  /** Why workers of this kind must not get the request. */
  readonly refusal?: AppError;
}

export interface AnalysisDependencies {
  readonly identity: IdentityRule;
  readonly imagesMax: number;
  /** Of one request, loaded at a time. */
  readonly imagesParallel: number;
  readonly loader: Pick<ImageLoader, "load">;
  readonly guard: Pick<AddressGuard, "refusalOf">;
}

export async function analyseImages(received: AnalysisInput, dependencies: AnalysisDependencies, signal: AbortSignal): Promise<Analysis> {
  if (received.images.length === 0) return plain(received.tokenIds);
  const input = withProcessorOptions(received);
  const obstacle = obstacleOf(received, input, dependencies.imagesMax);
  const uncountable = earlyRefusal(received, obstacle, dependencies.imagesMax);
  if (uncountable !== undefined) return { ...unread(received, obstacle ?? "placeholder-mismatch"), refusal: uncountable };
  const forbidden = await forbiddenUrl(received, dependencies.guard, signal);
  if (forbidden !== undefined) return { ...unread(received, "url-forbidden"), refusal: forbidden };
  if (input === undefined || obstacle !== undefined) return unread(received, obstacle ?? "processor-options");
  const loaded = await loadImages(input, dependencies, signal);
  const analysis = judged(input, imageViewsOf(input, loaded, dependencies.identity));
  return input.isPromptRebuilt === true ? withoutBlocks(analysis, "prompt-rebuilt") : analysis;
}

function plain(tokenIds: Uint32Array): Analysis {
  const nothing = { blockMmInfos: undefined, ranges: [], identities: undefined, ours: false };
  return { routingTokens: tokenIds, promptTokens: tokenIds.length, quality: exact, ...nothing };
}

/** Undefined where the options do what is not known here. */
function withProcessorOptions(input: AnalysisInput): AnalysisInput | undefined {
  const { processorOptions = {}, model } = input;
  if (Object.keys(processorOptions).length === 0) return input;
  const changed = model.withProcessorOptions(processorOptions);
  return changed && { ...input, model: changed };
}

/** What makes it pointless to look at the images. */
function obstacleOf(received: AnalysisInput, input: AnalysisInput | undefined, imagesMax: number): DegradeReason | undefined {
  const { model, images, dialect, worker, hasUuids = false } = received;
  if (images.length > imagesMax) return "too-many-images";
  if (model.placeholderId === undefined) return "unknown-family";
  const placeholders = placeholdersOf(received);
  if (placeholders === 0) return "no-placeholder";
  if (dialect === "none") return undefined;
  if (model.family === undefined) return "unknown-family";
  if (placeholders !== images.length) return "placeholder-mismatch";
  if (input === undefined) return "processor-options";
  if (dialect === "oov-s1") return model.vocabularySize === undefined ? "unknown-vocabulary" : undefined;
  return worker.readsMmHashes && !hasUuids ? undefined : "identity-ignored";
}

/** What can be refused without a look at the images. */
function earlyRefusal(
  { images, worker, ...input }: AnalysisInput,
  obstacle: DegradeReason | undefined,
  imagesMax: number,
): AppError | undefined {
  if (obstacle === "too-many-images") return tooManyImages(images.length, imagesMax);
  const isCountCertain = worker.diesOnBadRequests && input.model.family !== undefined && input.model.placeholderId !== undefined;
  return isCountCertain ? placeholderMismatch(placeholdersOf(input), images.length) : undefined;
}

async function forbiddenUrl(
  { images, worker }: AnalysisInput,
  guard: AnalysisDependencies["guard"],
  signal: AbortSignal,
): Promise<AppError | undefined> {
  return worker.fetchesPrivateAddresses ? guard.refusalOf(images, signal) : undefined;
}

function placeholdersOf({ tokenIds, model }: Pick<AnalysisInput, "tokenIds" | "model">): number {
  return model.placeholderId === undefined ? 0 : countOf(tokenIds, model.placeholderId);
}

/** The decision without any image: text before the first, or nothing where that place is not known. */
function unread(input: AnalysisInput, reason: DegradeReason): Analysis {
  const { tokenIds, model } = input;
  const isPlaceKnown = placeholdersOf(input) > 0 && input.isPromptRebuilt !== true;
  const routingTokens = isPlaceKnown ? beforeImage(tokenIds, model.placeholderId as number, 0) : new Uint32Array();
  return { ...plain(routingTokens), promptTokens: tokenIds.length, quality: { kind: isPlaceKnown ? "degraded" : "fallback", reason } };
}

function withoutBlocks(analysis: Analysis, reason: DegradeReason): Analysis {
  return { ...analysis, routingTokens: new Uint32Array(), blockMmInfos: undefined, ranges: [], quality: { kind: "fallback", reason } };
}

function loadImages(
  input: AnalysisInput,
  { loader, ...rules }: AnalysisDependencies,
  signal: AbortSignal,
): Promise<(LoadedImage | undefined)[]> {
  return boundedMap(input.images, rules.imagesParallel, async (url) => {
    const need = url === undefined ? undefined : needOf(input, url, rules.identity);
    return url === undefined || need === undefined ? undefined : loader.load(url, need, signal);
  });
}

function needOf({ dialect, givenHashes, images, worker }: AnalysisInput, url: string, rule: IdentityRule): ImageNeed | undefined {
  if (dialect === "oov-s1") return "pixels";
  // Nothing of the image can match, but its size may end the worker; a data: URL tells it for nothing.
  if (dialect === "none") return worker.diesOnBadRequests && isDataUrl(url) ? "size" : undefined;
  const isNamed = hashesOfNames(givenHashes, images.length) !== undefined;
  return isNamed || rule === "url" ? "size" : "content";
}

function judged(input: AnalysisInput, { views, identities, ours, isHinted }: ImageViews): Analysis {
  const placed: PlacedImage[] = [];
  for (const { layout, mmHash } of views) {
    if (layout === undefined || mmHash === undefined) break;
    placed.push({ layout, mmHash });
  }
  const isWhole = placed.length === views.length;
  const tokenIds = isWhole ? input.tokenIds : beforeImage(input.tokenIds, input.model.placeholderId as number, placed.length);
  const { tokens, ranges, blockMmInfos } = routingTokensOf({ ...input, tokenIds, images: placed });
  const promptTokens = views.reduce((sum, { layout }) => sum + (layout?.total ?? 1) - 1, input.tokenIds.length);
  const reason = isWhole ? doubtOf(input, isHinted) : views[placed.length]?.reason;
  const quality: Quality = reason === undefined ? exact : { kind: "degraded", reason };
  const refusal = input.worker.diesOnBadRequests ? lateRefusal(input, { views, isHinted }, promptTokens) : undefined;
  return { routingTokens: tokens, blockMmInfos, ranges, promptTokens, identities, ours, quality, ...(refusal && { refusal }) };
}

/** Why blocks may be others although every image was named and counted. */
function doubtOf({ model, dialect }: AnalysisInput, isHinted: boolean): DegradeReason | undefined {
  if (isHinted) return "frontend-count";
  return model.mayChangeTokens && dialect !== "none" ? "prompt-reencoded" : undefined;
}

function lateRefusal(
  input: AnalysisInput,
  { views, isHinted }: Pick<ImageViews, "views" | "isHinted">,
  promptTokens: number,
): AppError | undefined {
  const impossible = views.find((view) => view.impossible !== undefined)?.impossible;
  if (impossible !== undefined) return impossibleSize(impossible);
  const isCounted = !isHinted && views.every(({ layout }) => layout !== undefined);
  return isCounted ? promptTooLong(promptTokens, input.promptTokensMax) : undefined;
}
