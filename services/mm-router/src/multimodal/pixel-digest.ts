// What engines hash of an image's pixels, where the request does not name it.
//
//   S1       BLAKE3( RGBA )                                            TRT-LLM 1.3.0rc5; no header: 2×2 and 4×1 of one colour are equal
//   S2       S1, or with uuid BLAKE3( <uuid>uuid</uuid><content>RGBA</content> )                        1.3.0rc14
//   S3       BLAKE3( tag ‖ image item ), with uuid wrapped as in S2                                     1.3.0rc22 and later
//
//   image item   10 | u64 3 | "RGB" | u32 width | u32 height | u64 4·w·h | RGBA          integers big-endian
//
// Source: tensorrt_llm/inputs/multimodal.py and multimodal_data.py of the named engines. Vectors: multimodal/decode.json.
// The u64 of a digest, and the hash of a file: packages/kv, content-hash.ts. The decoding thread loads this file and not that package.
import { Blake3Hasher } from "@napi-rs/blake-hash";

export interface PixelImage {
  readonly width: number;
  readonly height: number;
  /** 4·width·height bytes, row by row; alpha 255 except where a PNG colour key says 0. */
  readonly rgba: Uint8Array;
}

/** Which bytes of the pixels an engine hashes. */
export type PixelScheme = "S1" | "S2" | "S3";

const s3Tag = Buffer.from("trtllm.mm.hash.v1");
const imageItemTag = 0x10;
const imageMode = Buffer.from("RGB");

/** @returns 32 digest bytes; `uuid` does not enter S1 */
export function pixelDigest(scheme: PixelScheme, image: PixelImage, uuid?: string): Buffer {
  const content = scheme === "S3" ? [s3Tag, imageItemHeader(image), image.rgba] : [image.rgba];
  const isWrapped = uuid !== undefined && scheme !== "S1";
  const parts = isWrapped ? [`<uuid>${uuid}</uuid><content>`, ...content, "</content>"] : content;
  const hasher = new Blake3Hasher();
  for (const part of parts) hasher.update(part);
  return hasher.digestBuffer();
}

function imageItemHeader({ width, height }: PixelImage): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt8(imageItemTag, 0);
  header.writeBigUInt64BE(BigInt(imageMode.length), 1);
  imageMode.copy(header, 9);
  header.writeUInt32BE(width, 12);
  header.writeUInt32BE(height, 16);
  header.writeBigUInt64BE(4n * BigInt(width) * BigInt(height), 20);
  return header;
}

/** The engine's own form of a digest: eight signed 32-bit integers. */
export function int32sOf(digest: Buffer): number[] {
  return Array.from({ length: 8 }, (_, i) => digest.readInt32BE(4 * i));
}
