// What is known of an image by its URL: size, content hash, pixel hash. Nothing is fetched or decoded beyond what is asked for.
//
//   URL ─ known and fresh? ──────────────────────────────────────────────► facts
//       └ same URL in work? join ─ else fetch ─► intake ─► same file known? ► facts
//                                                        └ pixels asked? ─► decode pool ─► facts
//
// I1  Facts of a file are kept by its content hash without a time limit, of an http(s) URL for 60 s at most. Never bytes, never pixels.
// I2  `load` never rejects for what an image is or does; it rejects with the signal's reason when the caller leaves.
// I3  A URL is used as it was written: case and escapes are part of its name. It is never logged, only its host and its hash.
import type { MmHash } from "@mm-router/protocol";
import { ByteBudget } from "./byte-budget.ts";
import { dataUrlBytes, isDataUrl } from "./data-url.ts";
import type { DecodePool } from "./decode-pool.ts";
import { ExpiringCache } from "./expiring-cache.ts";
import { nameOfHash, urlIdentity } from "./identity.ts";
import { hostOf, type ImageFetcher } from "./image-fetch.ts";
import type { ImageHeader } from "./image-format.ts";
import { ImageIntake, type ImageNeed } from "./image-intake.ts";
import { ImageProblem } from "./image-problem.ts";
import type { DegradeReason } from "./quality.ts";
import { SharedWork } from "./shared-work.ts";

export interface LoadedImage {
  /** Also where there is a problem, if enough of the file came. */
  readonly header: ImageHeader | undefined;
  readonly content: MmHash | undefined;
  /** S1, the hash that workers of 1.0 and 1.2 publish. */
  readonly pixels: MmHash | undefined;
  /** Why something asked for is missing. */
  readonly problem: DegradeReason | undefined;
}

/** What a loader counts; all labels are closed lists. */
export interface ImageMetrics {
  loaded(from: "cache" | "data" | "http", outcome: "ok" | DegradeReason, seconds: number): void;
  decoded(outcome: "ok" | DegradeReason, seconds: number): void;
}

export interface LoaderLimits {
  readonly dataUrlBytesMax: number;
  /** Encoded bytes kept for decoding, over all images in work. */
  readonly bytesInFlightMax: number;
  /** How long what an http(s) URL gave may be used again; the server's Cache-Control may shorten it. */
  readonly freshMs: number;
  readonly cacheEntriesMax: number;
}

export interface ImageLog {
  debug(message: string, facts: Readonly<Record<string, unknown>>): void;
}

export interface LoaderDependencies {
  readonly log: ImageLog;
  readonly fetcher: ImageFetcher;
  readonly pool: DecodePool;
  readonly metrics: ImageMetrics;
}

/** Longer URLs are not remembered: a cache of them would hold more text than facts. */
const cachedUrlCharsMax = 4_096;

/** In rising order: who has more has what is before it too. */
const needs: readonly ImageNeed[] = ["size", "content", "pixels"];

/** Of a file; the pixel hash comes when it is first asked for. */
interface Facts extends LoadedImage {
  pixels: MmHash | undefined;
  problem: DegradeReason | undefined;
}

/** The same file may do better the next time. */
const passingReasons: ReadonlySet<DegradeReason> = new Set(["decode-timeout", "decoder-lost"]);

export class ImageLoader {
  readonly #limits: LoaderLimits;
  readonly #dependencies: LoaderDependencies;
  readonly #byUrl: ExpiringCache<string, LoadedImage>;
  readonly #byContent: ExpiringCache<MmHash, Facts>;
  readonly #inWork = new SharedWork<string, LoadedImage>();
  readonly #budget: ByteBudget;

  constructor(limits: LoaderLimits, dependencies: LoaderDependencies) {
    this.#limits = limits;
    this.#dependencies = dependencies;
    this.#byUrl = new ExpiringCache(limits.cacheEntriesMax);
    this.#byContent = new ExpiringCache(limits.cacheEntriesMax);
    this.#budget = new ByteBudget(limits.bytesInFlightMax);
  }

  async load(url: string, need: ImageNeed, signal: AbortSignal): Promise<LoadedImage> {
    const startedAt = performance.now();
    const isData = isDataUrl(url);
    const known = isData ? undefined : this.#byUrl.get(url);
    const image = isSufficient(known, need) ? known : await this.#read(url, isData, need, signal);
    const from = image === known ? "cache" : isData ? "data" : "http";
    this.#dependencies.metrics.loaded(from, image.problem ?? "ok", (performance.now() - startedAt) / 1000);
    return image;
  }

  /** A data: URL is at hand already; sharing the work would cost a second copy of it as a key. */
  #read(url: string, isData: boolean, need: ImageNeed, signal: AbortSignal): Promise<LoadedImage> {
    if (isData) return this.#take(url, need, signal, (intake) => this.#fromDataUrl(url, intake, signal));
    const joinable = needs.slice(needs.indexOf(need)).find((more) => this.#inWork.has(`${more} ${url}`)) ?? need;
    return this.#inWork.join(`${joinable} ${url}`, signal, (shared) =>
      this.#take(url, joinable, shared, async (intake) => {
        const { freshMs } = await this.#dependencies.fetcher.fetch(url, intake, shared);
        return Math.min(this.#limits.freshMs, freshMs ?? this.#limits.freshMs);
      }),
    );
  }

  async #fromDataUrl(url: string, intake: ImageIntake, signal: AbortSignal): Promise<number> {
    for await (const bytes of dataUrlBytes(url, this.#limits.dataUrlBytesMax)) {
      signal.throwIfAborted();
      if (!intake.take(bytes)) break;
    }
    return 0;
  }

  /** @param feed gives the intake its bytes; its result is for how long the URL may be taken for the same image, in ms */
  async #take(url: string, need: ImageNeed, signal: AbortSignal, feed: (intake: ImageIntake) => Promise<number>): Promise<LoadedImage> {
    const intake = new ImageIntake(need, this.#budget);
    try {
      const freshMs = await feed(intake);
      const facts = await this.#factsOf(url, intake, need, signal);
      if (url.length <= cachedUrlCharsMax) this.#byUrl.set(url, facts, freshMs);
      return facts;
    } catch (error) {
      if (!(error instanceof ImageProblem)) throw error;
      this.#tell(url, error);
      return { header: intake.header, content: undefined, pixels: undefined, problem: error.reason };
    } finally {
      intake.release();
    }
  }

  async #factsOf(url: string, intake: ImageIntake, need: ImageNeed, signal: AbortSignal): Promise<LoadedImage> {
    if (need === "size" && intake.header !== undefined) {
      return { header: intake.header, content: undefined, pixels: undefined, problem: undefined };
    }
    const { header, content, bytes } = intake.finish();
    const facts: Facts = this.#byContent.get(content) ?? { header, content, pixels: undefined, problem: undefined };
    this.#byContent.set(content, facts, Number.POSITIVE_INFINITY);
    return need === "pixels" && !isSufficient(facts, "pixels") ? this.#withPixels(url, facts, header, bytes, signal) : facts;
  }

  async #withPixels(url: string, facts: Facts, header: ImageHeader, bytes: Buffer, signal: AbortSignal): Promise<LoadedImage> {
    const startedAt = performance.now();
    const { metrics, pool } = this.#dependencies;
    try {
      facts.pixels = await pool.hash(bytes, header, "S1", signal);
      metrics.decoded("ok", (performance.now() - startedAt) / 1000);
      return facts;
    } catch (error) {
      if (!(error instanceof ImageProblem)) throw error;
      this.#tell(url, error);
      metrics.decoded(error.reason, (performance.now() - startedAt) / 1000);
      if (passingReasons.has(error.reason)) return { ...facts, problem: error.reason };
      facts.problem = error.reason;
      return facts;
    }
  }

  #tell(url: string, { reason, message, cause }: ImageProblem): void {
    const source = isDataUrl(url) ? { source: "data" } : { source: hostOf(url), url_hash: nameOfHash(urlIdentity(url)) };
    this.#dependencies.log.debug("image not read", { reason, why: message, ...source, cause: String(cause ?? "") });
  }
}

/** A file that cannot be decoded is sufficient too: asking again would give the same. */
function isSufficient(facts: LoadedImage | undefined, need: ImageNeed): facts is LoadedImage {
  switch (need) {
    case "size":
      return facts !== undefined;
    case "content":
      return facts?.content !== undefined;
    case "pixels":
      return facts !== undefined && (facts.pixels !== undefined || facts.problem !== undefined);
  }
}
