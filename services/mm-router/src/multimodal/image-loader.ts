// Finds out what is asked of an image: size, content hash, pixel hash. Nothing is fetched or decoded beyond that.
//
//   URL ─ known and fresh? ──────────────────────────────────────────────────────────► facts
//       └ same URL in work? join ─ else told by another replica? ────────────────────► facts
//                                   └ fetch ─┬ 304 ─────────────────────────────────► facts
//                                            └ intake ─► same file known? ──────────► facts
//                                                          └ pixels asked? ─► decode ► facts
//
// I1  What is remembered, and for how long, is image-memory.ts' business. Never bytes, never pixels.
// I2  `load` never rejects for what an image is or does; it rejects with the signal's reason when the caller leaves.
// I3  A URL is used as it was written: case and escapes are part of its name. It is never logged, only its host and its hash.
import { dataUrlPieces, isDataUrl, nameOfHash, urlIdentity } from "@mm-router/kv";
import { ImageProblem } from "@mm-router/protocol";
import { onePerTurn } from "@mm-router/runtime";
import { ByteBudget } from "./byte-budget.ts";
import type { DecodePool } from "./decode-pool.ts";
import { hostOf, type ImageFetcher } from "./image-fetch.ts";
import { ImageIntake, type ImageNeed } from "./image-intake.ts";
import { type FileFacts, ImageMemory, type MemoryLimits } from "./image-memory.ts";
import { isSufficient, type LoadedImage } from "./loaded-image.ts";
import type { DegradeReason } from "./quality.ts";
import type { SharedImages } from "./shared-images.ts";
import { SharedWork } from "./shared-work.ts";

/** What answered: memory, another replica, the request itself, or the image server, without and with the bytes. */
export type ImageSource = "cache" | "shared" | "data" | "unchanged" | "http";

/** What a loader counts; all labels are closed lists. */
export interface ImageMetrics {
  loaded(from: ImageSource, outcome: "ok" | DegradeReason, seconds: number): void;
  decoded(outcome: "ok" | DegradeReason, seconds: number): void;
}

export interface LoaderLimits extends MemoryLimits {
  readonly dataUrlBytesMax: number;
  /** Encoded bytes kept for decoding, over all images in work. */
  readonly bytesInFlightMax: number;
}

export interface ImageLog {
  debug(message: string, facts: Readonly<Record<string, unknown>>): void;
}

export interface LoaderDependencies {
  readonly log: ImageLog;
  readonly fetcher: ImageFetcher;
  readonly pool: DecodePool;
  readonly shared: SharedImages;
  readonly metrics: ImageMetrics;
}

/** In rising order: who has more has what is before it too. */
const needs: readonly ImageNeed[] = ["size", "content", "pixels"];

/** The same file may do better the next time. */
const passingReasons: ReadonlySet<DegradeReason> = new Set(["decode-timeout", "decoder-lost"]);

interface Found {
  readonly image: LoadedImage;
  readonly from: ImageSource;
}

export class ImageLoader {
  readonly #limits: LoaderLimits;
  readonly #dependencies: LoaderDependencies;
  readonly #memory: ImageMemory;
  readonly #inWork = new SharedWork<string, Found>();
  readonly #budget: ByteBudget;

  constructor(limits: LoaderLimits, dependencies: LoaderDependencies) {
    this.#limits = limits;
    this.#dependencies = dependencies;
    this.#memory = new ImageMemory(limits, dependencies.shared);
    this.#budget = new ByteBudget(limits.bytesInFlightMax);
  }

  async load(url: string, need: ImageNeed, signal: AbortSignal): Promise<LoadedImage> {
    const startedAt = performance.now();
    const { image, from } = await this.#find(url, need, signal);
    this.#dependencies.metrics.loaded(from, image.problem ?? "ok", (performance.now() - startedAt) / 1000);
    return image;
  }

  /** A data: URL is at hand already; sharing the work would cost a second copy of it as a key. */
  async #find(url: string, need: ImageNeed, signal: AbortSignal): Promise<Found> {
    if (isDataUrl(url)) return this.#fromDataUrl(url, need, signal);
    const fresh = this.#memory.fresh(url, need);
    if (fresh !== undefined) return { image: fresh, from: "cache" };
    const joinable = needs.slice(needs.indexOf(need)).find((more) => this.#inWork.has(`${more} ${url}`)) ?? need;
    return this.#inWork.join(`${joinable} ${url}`, signal, (shared) => this.#fromElsewhere(url, joinable, shared));
  }

  #fromDataUrl(url: string, need: ImageNeed, signal: AbortSignal): Promise<Found> {
    return this.#taking(url, need, "data", async (intake) => {
      for await (const bytes of onePerTurn(dataUrlPieces(url, this.#limits.dataUrlBytesMax))) {
        signal.throwIfAborted();
        if (!intake.take(bytes)) break;
      }
      return { image: await this.#factsOf(url, intake, need, signal), from: "data" };
    });
  }

  async #fromElsewhere(url: string, need: ImageNeed, signal: AbortSignal): Promise<Found> {
    const recalled = await this.#memory.recall(url, need);
    if (recalled?.isFresh) return { image: recalled.image, from: "shared" };
    return this.#taking(url, need, "http", async (intake) => {
      const { isUnchanged, ...reuse } = await this.#dependencies.fetcher.fetch(url, intake, signal, recalled?.validators);
      const image = isUnchanged && recalled !== undefined ? recalled.image : await this.#factsOf(url, intake, need, signal);
      this.#memory.keep(url, image, reuse);
      return { image, from: isUnchanged ? "unchanged" : "http" };
    });
  }

  /** Runs `feed` with an intake for the image's bytes; a problem of the image is an answer, too. */
  async #taking(url: string, need: ImageNeed, from: ImageSource, feed: (intake: ImageIntake) => Promise<Found>): Promise<Found> {
    const intake = new ImageIntake(need, this.#budget);
    try {
      return await feed(intake);
    } catch (error) {
      if (!(error instanceof ImageProblem)) throw error;
      this.#tell(url, error);
      return { image: { header: intake.header, content: undefined, pixels: undefined, problem: error.reason }, from };
    } finally {
      intake.release();
    }
  }

  async #factsOf(url: string, intake: ImageIntake, need: ImageNeed, signal: AbortSignal): Promise<LoadedImage> {
    if (need === "size" && intake.header !== undefined) {
      return { header: intake.header, content: undefined, pixels: undefined, problem: undefined };
    }
    const { header, content, bytes } = intake.finish();
    const facts = this.#memory.file(header, content);
    return need === "pixels" && !isSufficient(facts, "pixels") ? this.#withPixels(url, facts, bytes, signal) : facts;
  }

  async #withPixels(url: string, facts: FileFacts, bytes: Buffer, signal: AbortSignal): Promise<LoadedImage> {
    const { metrics, pool, shared } = this.#dependencies;
    facts.pixels = await shared.pixelsOf(facts.content);
    if (facts.pixels !== undefined) return facts;
    const startedAt = performance.now();
    try {
      facts.pixels = await pool.hash(bytes, facts.header, "S1", signal);
      shared.tellPixels(facts.content, facts.pixels);
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
