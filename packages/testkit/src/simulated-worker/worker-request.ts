// A request as the engine takes it: images fetched and measured, their placeholders expanded.
//
//   token_ids  … <image> …     +  image_url, mm_hashes   ─►   prompt … <image> × N …  +  images [{ name, start, length }]
//
// What names an image: for workers >= 1.4 the text in `extra_args.mm_hashes`; for older ones a table of digests that real
// workers' rules gave (never our own code, which this worker is there to meet). An image without a name is named after its
// bytes, which no router can foresee.
import { createHash } from "node:crypto";
import { AppError, imageUrlsOf, type PreprocessedRequest } from "@mm-router/protocol";
import type { PlacedImage } from "./block-pool.ts";
import { imageSize, imageTokens } from "./image-size.ts";
import type { WorkerModel } from "./worker-model.ts";

const fetchTimeoutMs = 10_000;

/** Names of known images by the SHA-256 of their bytes, hex. */
export type ImageNames = ReadonlyMap<string, bigint>;

export interface ExpandedPrompt {
  readonly prompt: Uint32Array;
  readonly images: readonly PlacedImage[];
}

/**
 * Fetches and places the images of a request.
 *
 * @param names for workers that do not read `mm_hashes`; undefined for those that do
 * @throws AppError as a real worker's: an image that cannot be had, or a count that does not fit
 */
export async function expandPrompt(
  request: PreprocessedRequest,
  model: WorkerModel,
  names: ImageNames | undefined,
  signal: AbortSignal,
): Promise<ExpandedPrompt> {
  const files = await Promise.all(imageUrlsOf(request).map((url) => fetchImage(url ?? "", signal)));
  const placeholders = request.token_ids.filter((token) => token === model.imageTokenId).length;
  if (files.length > 0 && placeholders !== files.length) {
    throw new AppError("invalid_request", `Number of placeholders (${placeholders}) does not match number of images (${files.length})`);
  }
  const given = (request.extra_args as { mm_hashes?: unknown } | null | undefined)?.mm_hashes;
  const nameOf = names === undefined ? givenNames(given, files.length) : (_: number, file: Buffer) => names.get(sha256(file));

  const prompt: number[] = [];
  const images: PlacedImage[] = [];
  for (const token of request.token_ids) {
    const file = token === model.imageTokenId ? files[images.length] : undefined;
    if (file === undefined) {
      prompt.push(token);
      continue;
    }
    const length = tokensOf(file, model);
    images.push({ name: nameOf(images.length, file) ?? BigInt(`0x${sha256(file).slice(0, 16)}`), start: prompt.length, length });
    for (let i = 0; i < length; i++) prompt.push(model.imageTokenId);
  }
  return { prompt: Uint32Array.from(prompt), images };
}

/** As workers >= 1.4: a list of another length is ignored as a whole; of each text the first 16 hex digits count. */
function givenNames(given: unknown, images: number): (index: number) => bigint | undefined {
  if (!Array.isArray(given) || given.length !== images) return () => undefined;
  return (index) => BigInt(`0x${String(given[index]).slice(0, 16)}`);
}

function tokensOf(file: Buffer, model: WorkerModel): number {
  const size = imageSize(file);
  if (size === undefined) throw new AppError("image_undecodable", "Unsupported media type");
  return imageTokens(size, model.imageRule);
}

async function fetchImage(url: string, signal: AbortSignal): Promise<Buffer> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(fetchTimeoutMs)]) });
    if (answer.ok) return Buffer.from(await answer.arrayBuffer());
  } catch (cause) {
    throw new AppError("image_unreachable", "Failed to load image", { cause });
  }
  throw new AppError("image_unreachable", "Failed to load image");
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
