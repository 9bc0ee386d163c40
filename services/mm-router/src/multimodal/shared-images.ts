// What replicas tell each other of images, over a cache that may be away.
//
//   url.<BLAKE3 of the URL>      size, content hash, pixel hash; until when they are fresh, and what to ask the server by then
//   file.<content hash>          pixel hash: no file is decoded twice, however it came
//
// I1  No URL and no pixels: what leaves the process is hashes, sizes and what a server calls its file's version.
// I2  What comes back was written by somebody else: it is decoded like any other wire data, and what is not understood is not there.
import { hex16Of, type MmHash, parseHex, parseJson, stringifyJson } from "@mm-router/protocol";
import type { SharedCache } from "@mm-router/runtime";
import { z } from "zod";
import { urlDigest, type Validators } from "./http-caching.ts";
import type { LoadedImage } from "./loaded-image.ts";

export interface SharedImage {
  readonly image: LoadedImage;
  /** Epoch milliseconds: clocks of hosts that differ make an image fresh longer or shorter by so much. */
  readonly freshUntil: number;
  readonly validators: Validators | undefined;
}

const hash = z.string().regex(/^[0-9a-f]{16}$/);
const text = z.string().max(256).optional();
const side = z.int().min(1).max(0x7fff_ffff);

const schema = z.object({
  header: z.object({
    format: z.enum(["png", "jpeg", "webp"]),
    mode: z.enum(["1", "L", "LA", "P", "I;16", "RGB", "RGBA", "CMYK"]),
    width: side,
    height: side,
  }),
  content: hash.optional(),
  pixels: hash.optional(),
  fresh_until: z.number(),
  validators: z.object({ of: z.string().max(64), etag: text, last_modified: text, fresh_ms: z.number().optional() }).optional(),
});

const none: SharedCache = { get: async () => undefined, put: () => {} };

export class SharedImages {
  readonly #cache: SharedCache;

  constructor(cache: SharedCache = none) {
    this.#cache = cache;
  }

  async ofUrl(url: string): Promise<SharedImage | undefined> {
    const bytes = await this.#cache.get(urlKey(url));
    return bytes && sharedImageOf(bytes);
  }

  tellUrl(url: string, { image: { header, content, pixels }, freshUntil, validators }: SharedImage): void {
    const told = {
      header,
      content: content && hex16Of(content),
      pixels: pixels && hex16Of(pixels),
      fresh_until: freshUntil,
      validators: validators && {
        of: validators.of,
        etag: validators.etag,
        last_modified: validators.lastModified,
        fresh_ms: validators.freshMs,
      },
    };
    this.#cache.put(urlKey(url), Buffer.from(stringifyJson(told)));
  }

  async pixelsOf(content: MmHash): Promise<MmHash | undefined> {
    const bytes = await this.#cache.get(fileKey(content));
    return bytes?.length === 16 ? hashOf(Buffer.from(bytes).toString("latin1")) : undefined;
  }

  tellPixels(content: MmHash, pixels: MmHash): void {
    this.#cache.put(fileKey(content), Buffer.from(hex16Of(pixels)));
  }
}

function urlKey(url: string): string {
  return `url.${urlDigest(url)}`;
}

function fileKey(content: MmHash): string {
  return `file.${hex16Of(content)}`;
}

function sharedImageOf(bytes: Uint8Array): SharedImage | undefined {
  const told = schema.safeParse(valueOf(bytes));
  if (!told.success) return undefined;
  const { header, content, pixels, fresh_until, validators } = told.data;
  return {
    image: { header, content: hashOf(content), pixels: hashOf(pixels), problem: undefined },
    freshUntil: fresh_until,
    validators: validators && {
      of: validators.of,
      etag: validators.etag,
      lastModified: validators.last_modified,
      freshMs: validators.fresh_ms,
    },
  };
}

function valueOf(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes);
  } catch {
    return undefined;
  }
}

function hashOf(hex: string | undefined): MmHash | undefined {
  return hex === undefined ? undefined : (parseHex(hex) as MmHash | undefined);
}
