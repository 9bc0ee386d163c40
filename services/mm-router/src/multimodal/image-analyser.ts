// Wires the parts of image analysis together; the one thing of this folder that the service creates.
import { type AnalysisInput, type Analysis, analyseImages } from "./image-analysis.ts";
import type { EgressPolicy, ImageConfig } from "./config.ts";
import { DecodePool } from "./decode-pool.ts";
import { createHttpTransport } from "./http-transport.ts";
import { createImageFetcher } from "./image-fetch.ts";
import { ImageLoader, type ImageMetrics } from "./image-loader.ts";
import { dnsResolver, type NameResolver, systemResolver } from "./name-resolver.ts";
import { AddressGuard } from "./worker-guard.ts";

export interface ImageAnalyser {
  analyse(input: AnalysisInput, signal: AbortSignal): Promise<Analysis>;
  /** Drops downloads and decoding in work. */
  close(): Promise<void>;
}

export interface AnalyserDependencies {
  readonly egress: EgressPolicy;
  readonly metrics: ImageMetrics;
  /** Default: DNS for strangers' URLs, the system's resolver where internal addresses are allowed. */
  readonly resolver?: NameResolver;
}

export function createImageAnalyser(config: ImageConfig, dependencies: AnalyserDependencies): ImageAnalyser {
  const { egress, metrics } = dependencies;
  const resolver = dependencies.resolver ?? (egress.rules.isInternalAllowed ? systemResolver() : dnsResolver());
  const network = { ...egress, resolver };
  const transport = createHttpTransport({
    ...network,
    connectMs: config.connectMs,
    totalMs: config.downloadMs,
    parallelPerHost: config.downloadsParallelPerHost,
  });
  const fetcher = createImageFetcher(
    {
      bytesMax: config.downloadBytesMax,
      totalMs: config.downloadMs,
      parallel: config.downloadsParallel,
      parallelPerHost: config.downloadsParallelPerHost,
      slotWaitMs: config.downloadSlotWaitMs,
    },
    { ...network, transport },
  );
  const pool = new DecodePool({
    pixelsMax: config.pixelsMax,
    secondsMax: config.decodeSecondsMax,
    pixelBytesMax: config.pixelBytesInFlightMax,
  });
  const loader = new ImageLoader(
    {
      dataUrlBytesMax: config.dataUrlBytesMax,
      bytesInFlightMax: config.bytesInFlightMax,
      freshMs: config.cacheFreshMs,
      cacheEntriesMax: config.cacheEntriesMax,
    },
    { fetcher, pool, metrics },
  );
  const analysis = {
    identity: config.identity,
    imagesMax: config.imagesMax,
    imagesParallel: config.imagesParallel,
    loader,
    guard: new AddressGuard(network),
  };
  return {
    analyse: (input, signal) => analyseImages(input, analysis, signal),
    async close() {
      await Promise.all([transport.close(), pool.close()]);
    },
  };
}
