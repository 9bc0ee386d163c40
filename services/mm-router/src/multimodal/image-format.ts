// Which files workers take as images, and their size, from the first bytes and without decoding.
//
//   PNG    89 "PNG" …                     png-header.ts
//   JPEG   FF D8 FF, not MPO              jpeg-header.ts
//   WebP   "RIFF" ???? "WEBP"             webp-header.ts
//
// Content decides, never a name or a declared media type. Source: Image.open(bytes, formats=[JPEG, PNG, WEBP]) of Pillow 13, which the
// loader of Dynamo 0.9.1 … 1.6.1 calls. Vectors: multimodal/decode.json.
// I1  The size is the stored one: EXIF orientation swaps nothing.
// I2  A file that Pillow accepts is never refused here. The other way round happens (a damaged chunk behind the header) and does no harm:
//     the worker refuses that request anyway.
import { readJpegHeader } from "./jpeg-header.ts";
import { readPngHeader } from "./png-header.ts";
import { readWebpHeader } from "./webp-header.ts";

export type ImageFormat = "png" | "jpeg" | "webp";

/** How the file stores a pixel, in Pillow's words. */
export type ImageMode = "1" | "L" | "LA" | "P" | "I;16" | "RGB" | "RGBA" | "CMYK";

export interface ImageHeader {
  readonly format: ImageFormat;
  readonly mode: ImageMode;
  /** Pixels, ≥ 1. */
  readonly width: number;
  readonly height: number;
}

export type HeaderReading =
  | { readonly kind: "header"; readonly header: ImageHeader }
  /** The header continues behind the bytes given. */
  | { readonly kind: "short" }
  | { readonly kind: "refused"; readonly reason: "unsupported-format" | "undecodable" };

export const short: HeaderReading = { kind: "short" };
export const undecodable: HeaderReading = { kind: "refused", reason: "undecodable" };
export const unsupported: HeaderReading = { kind: "refused", reason: "unsupported-format" };

/** Pillow raises on more: 2 × its MAX_IMAGE_PIXELS. */
export const pillowPixelsMax = 178_956_970;

/** Longest signature that tells the three apart. */
const signatureBytes = 12;

const pngSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const jpegSignature = Buffer.from([0xff, 0xd8, 0xff]);

/** @param bytes the file, or its beginning */
export function readImageHeader(bytes: Buffer): HeaderReading {
  const reading = readByFormat(bytes);
  if (reading.kind !== "header") return reading;
  const { width, height } = reading.header;
  return width >= 1 && height >= 1 && width * height <= pillowPixelsMax ? reading : undecodable;
}

/** As `readImageHeader` for a file that is complete: what is short then is damaged. */
export function readWholeImageHeader(bytes: Buffer): Exclude<HeaderReading, { kind: "short" }> {
  const reading = readImageHeader(bytes);
  if (reading.kind !== "short") return reading;
  return { kind: "refused", reason: bytes.length < signatureBytes ? "unsupported-format" : "undecodable" };
}

function readByFormat(bytes: Buffer): HeaderReading {
  if (startsWith(bytes, pngSignature)) return readPngHeader(bytes);
  if (startsWith(bytes, jpegSignature)) return readJpegHeader(bytes);
  if (bytes.length < signatureBytes) return short;
  const isWebp = bytes.toString("latin1", 0, 4) === "RIFF" && bytes.toString("latin1", 8, 12) === "WEBP";
  return isWebp ? readWebpHeader(bytes) : unsupported;
}

function startsWith(bytes: Buffer, signature: Buffer): boolean {
  return bytes.length >= signature.length && bytes.compare(signature, 0, signature.length, 0, signature.length) === 0;
}
