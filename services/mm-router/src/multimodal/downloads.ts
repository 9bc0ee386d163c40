// The way out: resolver, transport and fetcher under one policy.
import type { EgressPolicy, ImageConfig } from "./config.ts";
import type { HttpTransport, TransportOptions } from "./http-transport.ts";
import { createImageFetcher, type ImageFetcher } from "./image-fetch.ts";
import { dnsResolver, type NameResolver, systemResolver } from "./name-resolver.ts";

export interface Downloads {
  readonly fetcher: ImageFetcher;
  readonly resolver: NameResolver;
  /** Drops downloads in work. */
  close(): Promise<void>;
}

/** @param resolver default: DNS for strangers' URLs, the system's resolver where internal addresses are allowed */
export function createDownloads(config: ImageConfig, egress: EgressPolicy, resolver: NameResolver = defaultResolver(egress)): Downloads {
  const network = { ...egress, resolver };
  const transport = transportOnDemand({
    ...network,
    connectMs: config.connectMs,
    totalMs: config.downloadMs,
    parallelPerHost: config.downloadsParallelPerHost,
  });
  const limits = {
    bytesMax: config.downloadBytesMax,
    totalMs: config.downloadMs,
    parallel: config.downloadsParallel,
    parallelPerHost: config.downloadsParallelPerHost,
    slotWaitMs: config.downloadSlotWaitMs,
  };
  return { fetcher: createImageFetcher(limits, { ...network, transport }), resolver, close: () => transport.close() };
}

/** The HTTP client is a tenth of the router's start: it comes with the first download. */
function transportOnDemand(options: TransportOptions): HttpTransport {
  let made: Promise<HttpTransport> | undefined;
  const make = () => (made ??= import("./http-transport.ts").then(({ createHttpTransport }) => createHttpTransport(options)));
  return {
    get: async (...question) => (await make()).get(...question),
    close: async () => (await made)?.close(),
  };
}

export function defaultResolver({ rules }: EgressPolicy): NameResolver {
  return rules.isInternalAllowed ? systemResolver() : dnsResolver();
}
