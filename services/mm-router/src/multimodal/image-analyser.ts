// Wires the parts of image analysis together; the one thing of this folder that the service creates.
import type { SharedCache } from "@mm-router/runtime";
import type { EgressPolicy, ImageConfig } from "./config.ts";
import { DecodePool } from "./decode-pool.ts";
import { createDownloads } from "./downloads.ts";
import { type Analysis, type AnalysisInput, analyseImages } from "./image-analysis.ts";
import { ImageLoader, type ImageLog, type ImageMetrics } from "./image-loader.ts";
import type { NameResolver } from "./name-resolver.ts";
import { SharedImages } from "./shared-images.ts";
import { AddressGuard } from "./worker-guard.ts";

export interface ImageAnalyser {
  analyse(input: AnalysisInput, signal: AbortSignal): Promise<Analysis>;
  /** Drops downloads and decoding in work. */
  close(): Promise<void>;
}

export interface AnalyserDependencies {
  readonly egress: EgressPolicy;
  readonly log: ImageLog;
  readonly metrics: ImageMetrics;
  readonly resolver?: NameResolver;
  /** What replicas know of images; absent: each knows its own. */
  readonly shared?: SharedCache | undefined;
}

export function createImageAnalyser(config: ImageConfig, dependencies: AnalyserDependencies): ImageAnalyser {
  const { egress, log, metrics, resolver, shared } = dependencies;
  const downloads = createDownloads(config, egress, resolver);
  const pool = new DecodePool({
    pixelsMax: config.pixelsMax,
    secondsMax: config.decodeSecondsMax,
    pixelBytesMax: config.pixelBytesInFlightMax,
  });
  const limits = {
    dataUrlBytesMax: config.dataUrlBytesMax,
    bytesInFlightMax: config.bytesInFlightMax,
    freshMs: config.cacheFreshMs,
    cacheEntriesMax: config.cacheEntriesMax,
  };
  const analysis = {
    identity: config.identity,
    imagesMax: config.imagesMax,
    imagesParallel: config.imagesParallel,
    loader: new ImageLoader(limits, { fetcher: downloads.fetcher, pool, shared: new SharedImages(shared), log, metrics }),
    guard: new AddressGuard({ ...egress, resolver: downloads.resolver }),
  };
  return {
    analyse: (input, signal) => analyseImages(input, analysis, signal),
    async close() {
      await Promise.all([downloads.close(), pool.close()]);
    },
  };
}
