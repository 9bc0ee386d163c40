// What is remembered of images: by URL as long as it may be used, by file for ever (bounded), and told to other replicas.
//
//   fresh(url)    here, at once
//   recall(url)   here or with others; a stale one comes with what its server can be asked by
//   keep(url)     after a download or a "not modified"
//
// I1  A URL's image is fresh for `freshMs` at most, shorter where its server says so, and never kept where it says no-store.
// I2  Facts of a file have no time limit. Never bytes, never pixels.
import type { MmHash } from "@mm-router/protocol";
import { ExpiringCache } from "./expiring-cache.ts";
import type { Reuse, Validators } from "./http-caching.ts";
import type { ImageHeader } from "./image-format.ts";
import type { ImageNeed } from "./image-intake.ts";
import { isSufficient, type LoadedImage } from "./loaded-image.ts";
import type { DegradeReason } from "./quality.ts";
import type { SharedImage, SharedImages } from "./shared-images.ts";

/** Of a file; the pixel hash comes when it is first asked for. */
export interface FileFacts extends LoadedImage {
  readonly header: ImageHeader;
  readonly content: MmHash;
  pixels: MmHash | undefined;
  problem: DegradeReason | undefined;
}

export interface MemoryLimits {
  /** How long what an http(s) URL gave may be used without asking; the server's Cache-Control may shorten it. */
  readonly freshMs: number;
  readonly cacheEntriesMax: number;
}

export interface Recalled {
  readonly image: LoadedImage;
  readonly isFresh: boolean;
  readonly validators: Validators | undefined;
}

interface UrlEntry {
  readonly image: LoadedImage;
  /** Of `performance.now()`. */
  readonly freshUntil: number;
  readonly validators: Validators | undefined;
}

/** Longer URLs are not remembered: a cache of them would hold more text than facts. */
const cachedUrlCharsMax = 4_096;

export class ImageMemory {
  readonly #limits: MemoryLimits;
  readonly #shared: SharedImages;
  readonly #byUrl: ExpiringCache<string, UrlEntry>;
  readonly #byContent: ExpiringCache<MmHash, FileFacts>;

  constructor(limits: MemoryLimits, shared: SharedImages) {
    this.#limits = limits;
    this.#shared = shared;
    this.#byUrl = new ExpiringCache(limits.cacheEntriesMax);
    this.#byContent = new ExpiringCache(limits.cacheEntriesMax);
  }

  fresh(url: string, need: ImageNeed): LoadedImage | undefined {
    const entry = this.#byUrl.get(url);
    return entry !== undefined && entry.freshUntil > performance.now() && isSufficient(entry.image, need) ? entry.image : undefined;
  }

  /** What is known and enough for `need`, if anything; asks the other replicas. */
  async recall(url: string, need: ImageNeed): Promise<Recalled | undefined> {
    const told = await this.#shared.ofUrl(url);
    const learnt = told && this.#learnt(told);
    const usable = [this.#byUrl.get(url), learnt].filter((entry) => isSufficient(entry?.image, need));
    const now = performance.now();
    const best = usable.find((entry) => entry!.freshUntil > now) ?? usable.find((entry) => entry!.validators !== undefined);
    if (best === undefined) return undefined;
    if (best === learnt) this.#set(url, best);
    return { image: best.image, isFresh: best.freshUntil > now, validators: best.validators };
  }

  keep(url: string, image: LoadedImage, reuse: Reuse): void {
    const freshMs = reuse.isKept ? Math.min(this.#limits.freshMs, reuse.freshMs ?? this.#limits.freshMs) : 0;
    const validators = reuse.isKept ? reuse.validators : undefined;
    this.#set(url, { image, freshUntil: performance.now() + freshMs, validators });
    const isWorthTelling = image.problem === undefined && (freshMs > 0 || validators !== undefined);
    if (isWorthTelling) this.#shared.tellUrl(url, { image, freshUntil: Date.now() + freshMs, validators });
  }

  /** The one record of a file, made at the first sight of it. */
  file(header: ImageHeader, content: MmHash): FileFacts {
    const facts = this.#byContent.get(content) ?? { header, content, pixels: undefined, problem: undefined };
    this.#byContent.set(content, facts, Number.POSITIVE_INFINITY);
    return facts;
  }

  /** As if we had asked the URL's server when the other replica did. */
  #learnt({ image, freshUntil, validators }: SharedImage): UrlEntry {
    const freshMs = Math.min(this.#limits.freshMs, freshUntil - Date.now());
    return { image: this.#merged(image), freshUntil: performance.now() + freshMs, validators };
  }

  #merged(image: LoadedImage): LoadedImage {
    if (image.header === undefined || image.content === undefined) return image;
    const facts = this.file(image.header, image.content);
    facts.pixels ??= image.pixels;
    return facts;
  }

  /** Without a word to ask its server by, a stale one is worth nothing. */
  #set(url: string, entry: UrlEntry): void {
    const keptMs = entry.validators === undefined ? entry.freshUntil - performance.now() : Number.POSITIVE_INFINITY;
    if (url.length <= cachedUrlCharsMax) this.#byUrl.set(url, entry, keptMs);
  }
}
