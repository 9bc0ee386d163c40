// Limits and choices of image analysis, with their reasons. The service's config.ts makes settings of them.
import type { IdentityRule } from "@mm-router/kv";
import type { AddressRules } from "./address-policy.ts";
import { type EgressProxy, type Environment, egressProxyOf } from "./egress-proxy.ts";

export interface ImageConfig {
  /** What names an image where the request does not (`MMR_IMAGE_IDENTITY`). */
  readonly identity: IdentityRule;
  readonly imagesMax: number;
  /** Of one request, loaded at a time. */
  readonly imagesParallel: number;

  readonly connectMs: number;
  readonly downloadMs: number;
  readonly downloadBytesMax: number;
  readonly downloadsParallel: number;
  readonly downloadsParallelPerHost: number;
  readonly downloadSlotWaitMs: number;
  readonly dataUrlBytesMax: number;

  readonly pixelsMax: number;
  readonly decodeSecondsMax: number;
  readonly bytesInFlightMax: number;
  readonly pixelBytesInFlightMax: number;

  readonly cacheFreshMs: number;
  readonly cacheEntriesMax: number;
}

const mebibyte = 1024 * 1024;

export const imageConfigDefaults: ImageConfig = {
  identity: "content",
  imagesMax: 128,
  imagesParallel: 8,
  connectMs: 5_000, // as the worker
  downloadMs: 10_000, // the worker has 30 s; it is not waiting for us
  downloadBytesMax: 32 * mebibyte,
  downloadsParallel: 64,
  downloadsParallelPerHost: 16, // so four slow hosts are needed to stop all
  downloadSlotWaitMs: 1_000, // waiting longer would cost the request more than the cache hit is worth
  dataUrlBytesMax: 16 * mebibyte, // DYN_MM_MAX_DATA_URL_MB of workers ≥ 1.5
  pixelsMax: 40_000_000, // 160 MB of RGBA
  decodeSecondsMax: 2, // a 40-megapixel JPEG takes 0.3 s
  bytesInFlightMax: 256 * mebibyte,
  pixelBytesInFlightMax: 256 * mebibyte, // one of the largest and some small ones
  cacheFreshMs: 60_000,
  cacheEntriesMax: 16_384, // about 200 bytes each, and the URL
};

export interface EgressPolicy {
  readonly rules: AddressRules;
  readonly proxy: EgressProxy;
}

/** What downloads may reach, by the variables that the workers read too; `MMR_FETCH_HTTP=1` is ours, for workers ≤ 1.0. */
export function egressPolicyOf(env: Environment): EgressPolicy {
  return {
    rules: { isInternalAllowed: env["DYN_MM_ALLOW_INTERNAL"] === "1", isHttpAllowed: env["MMR_FETCH_HTTP"] === "1" },
    proxy: egressProxyOf(env),
  };
}
