// The door of image analysis: what the service and the tools of ./mmr use.
export { type AddressRules, requireDialable } from "./address-policy.ts";
export { type EgressPolicy, egressPolicyOf, type ImageConfig, imageConfigDefaults } from "./config.ts";
export { createDownloads, defaultResolver } from "./downloads.ts";
export { type PlacedImage, routingTokensOf } from "./expand-tokens.ts";
export type { ImageFamily, ImageSize } from "./families/family.ts";
export { familyOf, knownModelTypes } from "./families/index.ts";
export { tokenPattern } from "./families/token-pattern.ts";
export { createImageAnalyser, type ImageAnalyser } from "./image-analyser.ts";
export type { Analysis, AnalysisInput } from "./image-analysis.ts";
export { type ByteSink, followRedirects } from "./image-fetch.ts";
export { readWholeImageHeader } from "./image-format.ts";
export type { ImageMetrics } from "./image-loader.ts";
export { ImageModel, readImageModel } from "./image-model.ts";
export { pixelDigest } from "./pixel-digest.ts";
export { type DegradeReason, exact, type Quality } from "./quality.ts";

/** Loads sharp when it is called: the service decodes in a thread of its own and need not carry those 29 MB. */
export const decodeImage: typeof import("./image-decode.ts").decodeImage = async (bytes, limits) =>
  (await import("./image-decode.ts")).decodeImage(bytes, limits);
