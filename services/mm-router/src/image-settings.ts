// Settings of image analysis. Limits that the worker has too carry the worker's names and defaults.
import { identityRules } from "@mm-router/kv";
import { type ConfigOf, decimal, field, integer, type SharedCacheLimits, yesNo } from "@mm-router/runtime";
import { z } from "zod";
import { type ImageConfig, imageConfigDefaults } from "./multimodal/index.ts";

const mebibyte = 1024 * 1024;

export const imageFields = {
  imageDialect: field(z.enum(["auto", "none", "oov-s1", "pad", "in-vocab"]).default("auto"), {
    flag: "image-dialect",
    env: "MMR_IMAGE_DIALECT",
    help: "what stands for an image in the workers' KV events; auto: by their release, and by what their events show",
  }),
  imageIdentity: field(z.enum(identityRules).default(imageConfigDefaults.identity), {
    flag: "image-identity",
    env: "MMR_IMAGE_IDENTITY",
    help: "what names an image where the request does not; url where Dynamo frontends send requests to the same workers",
  }),
  imagesMax: field(integer(1).default(imageConfigDefaults.imagesMax), { env: "MMR_IMAGES_MAX", help: "images of one request" }),
  imagesParallel: field(integer(1).default(imageConfigDefaults.imagesParallel), {
    env: "MMR_IMAGES_PARALLEL",
    help: "images of one request that are loaded at a time",
  }),
  imageConnectS: field(decimal(0.001).default(imageConfigDefaults.connectMs / 1000), {
    env: "DYN_HTTP_CONNECT_TIMEOUT",
    unit: "seconds",
    help: "limit for connecting to an image server, as the worker's",
  }),
  imageDownloadMs: field(integer(1).default(imageConfigDefaults.downloadMs), {
    env: "MMR_IMAGE_DOWNLOAD_MS",
    unit: "milliseconds",
    help: "limit for a whole download; a late image costs the cache hit, not the request",
  }),
  imageBytesMax: field(integer(1).default(imageConfigDefaults.downloadBytesMax), {
    env: "MMR_IMAGE_BYTES_MAX",
    unit: "bytes",
    help: "largest image file that is read",
  }),
  imageDownloadsParallel: field(integer(1).default(imageConfigDefaults.downloadsParallel), {
    env: "MMR_IMAGE_DOWNLOADS_PARALLEL",
    help: "downloads at a time",
  }),
  imageDownloadsPerHost: field(integer(1).default(imageConfigDefaults.downloadsParallelPerHost), {
    env: "MMR_IMAGE_DOWNLOADS_PER_HOST",
    help: "downloads at a time from one host",
  }),
  imageSlotWaitMs: field(integer(0).default(imageConfigDefaults.downloadSlotWaitMs), {
    env: "MMR_IMAGE_SLOT_WAIT_MS",
    unit: "milliseconds",
    help: "how long a download waits for its turn before its image is left out of routing",
  }),
  dataUrlMiB: field(decimal(0.001).default(imageConfigDefaults.dataUrlBytesMax / mebibyte), {
    env: "DYN_MM_MAX_DATA_URL_MB",
    unit: "MiB",
    help: "longest data: URL that is read, as the worker's",
  }),
  imagePixelsMax: field(integer(1).default(imageConfigDefaults.pixelsMax), {
    env: "MMR_IMAGE_PIXELS_MAX",
    unit: "pixels",
    help: "largest image that is decoded (workers 1.0 and 1.2 only)",
  }),
  imageDecodeS: field(decimal(0.1).default(imageConfigDefaults.decodeSecondsMax), {
    env: "MMR_IMAGE_DECODE_SECS",
    unit: "seconds",
    help: "limit for decoding an image",
  }),
  imageBytesInFlight: field(integer(1).default(imageConfigDefaults.bytesInFlightMax), {
    env: "MMR_IMAGE_BYTES_IN_FLIGHT",
    unit: "bytes",
    help: "image files held in memory at a time",
  }),
  imagePixelBytesInFlight: field(integer(1).default(imageConfigDefaults.pixelBytesInFlightMax), {
    env: "MMR_IMAGE_PIXEL_BYTES_IN_FLIGHT",
    unit: "bytes",
    help: "decoded pixels held in memory at a time",
  }),
  imageFreshMs: field(integer(0).default(imageConfigDefaults.cacheFreshMs), {
    env: "MMR_IMAGE_FRESH_MS",
    unit: "milliseconds",
    help: "how long what a URL gave is used before its server is asked whether it changed; Cache-Control may say less",
  }),
  imageCacheEntries: field(integer(1).default(imageConfigDefaults.cacheEntriesMax), {
    env: "MMR_IMAGE_CACHE_ENTRIES",
    help: "URLs and files whose size and hashes are remembered",
  }),
  imageSharing: field(yesNo.default(true), {
    flag: "image-sharing",
    env: "MMR_IMAGE_SHARING",
    help: "replicas tell each other sizes and hashes of images, over NATS with JetStream; without a server each knows its own",
  }),
  imageSharedTtlS: field(integer(1).default(600), {
    env: "MMR_IMAGE_SHARED_TTL_SECS",
    unit: "seconds",
    help: "how long others are told of an image",
  }),
  imageSharedBytes: field(integer(65_536).default(64 * mebibyte), {
    env: "MMR_IMAGE_SHARED_BYTES",
    unit: "bytes",
    help: "memory in the NATS server for it, about 400 bytes per image; the first replica decides",
  }),
  imageSharedDeadlineMs: field(integer(1).default(50), {
    env: "MMR_IMAGE_SHARED_DEADLINE_MS",
    unit: "milliseconds",
    help: "how long an image waits for what others know of it before it is downloaded",
  }),
};

export function imageConfigOf(config: ConfigOf<typeof imageFields>): ImageConfig {
  return {
    identity: config.imageIdentity,
    imagesMax: config.imagesMax,
    imagesParallel: config.imagesParallel,
    connectMs: config.imageConnectS * 1000,
    downloadMs: config.imageDownloadMs,
    downloadBytesMax: config.imageBytesMax,
    downloadsParallel: config.imageDownloadsParallel,
    downloadsParallelPerHost: config.imageDownloadsPerHost,
    downloadSlotWaitMs: config.imageSlotWaitMs,
    dataUrlBytesMax: Math.floor(config.dataUrlMiB * mebibyte),
    pixelsMax: config.imagePixelsMax,
    decodeSecondsMax: config.imageDecodeS,
    bytesInFlightMax: config.imageBytesInFlight,
    pixelBytesInFlightMax: config.imagePixelBytesInFlight,
    cacheFreshMs: config.imageFreshMs,
    cacheEntriesMax: config.imageCacheEntries,
  };
}

/** What replicas share of images; undefined: nothing. */
export function sharedImageLimitsOf(config: ConfigOf<typeof imageFields>, namespace: string): SharedCacheLimits | undefined {
  if (!config.imageSharing) return undefined;
  return {
    bucket: `mmr-images-${namespace.replaceAll(".", "_")}`, // a dot is no letter of a bucket's name; two namespaces that meet share the same facts
    ttlS: config.imageSharedTtlS,
    bytesMax: config.imageSharedBytes,
    valueBytesMax: sharedValueBytesMax,
    deadlineMs: config.imageSharedDeadlineMs,
    restMs: 10_000,
  };
}

/** Two hashes, a size and a server's two validators of 256 characters. */
const sharedValueBytesMax = 2_048;
