// The size, mode and colour key of a PNG file.
//
//   89 "PNG\r\n\1a\n" | len "IHDR" width height depth type 0 0 interlace crc | len type data crc | …
//
// A colour key (`tRNS`) makes every pixel of one colour transparent *in the bytes that are hashed*, though nothing else of it survives the
// conversion to RGB. Source: PngImagePlugin.py and Image.convert of Pillow 13.
// G1  The last tRNS before IEND, or before the second picture of an animation, counts: also behind the image data. A wrong CRC in front of the image data makes Pillow refuse the file.
// G2  Keys are compared after Pillow's own scaling, which is why the rules per depth look odd: they are its behaviour, not the standard's.
import { crc32 } from "node:zlib";
import { type HeaderReading, type ImageMode, short, undecodable } from "./image-format.ts";

const signatureBytes = 8;
const ihdrEnd = signatureBytes + 25;

/** Pillow's modes by `depth,colour type`; other pairs do not exist. */
const modes: Readonly<Record<string, ImageMode>> = {
  ...{ "1,0": "1", "2,0": "L", "4,0": "L", "8,0": "L", "16,0": "I;16" },
  ...{ "8,2": "RGB", "16,2": "RGB" },
  ...{ "1,3": "P", "2,3": "P", "4,3": "P", "8,3": "P" },
  ...{ "8,4": "LA", "16,4": "RGBA", "8,6": "RGBA", "16,6": "RGBA" },
};

export function readPngHeader(bytes: Buffer): HeaderReading {
  if (bytes.length < ihdrEnd) return short;
  const isIhdr = bytes.readUInt32BE(8) === 13 && bytes.toString("latin1", 12, 16) === "IHDR";
  const mode = modes[`${bytes[24]},${bytes[25]}`];
  const filterMethod = bytes[27];
  if (!isIhdr || mode === undefined || filterMethod !== 0 || !hasValidCrc(bytes, 12, 29)) return undecodable;
  return { kind: "header", header: { format: "png", mode, width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) } };
}

/** What of a PNG, besides its pixels, decides the bytes that are hashed. */
export interface PngKey {
  /** Pixels of exactly this colour get alpha 0. */
  readonly colourKey: Rgb | undefined;
}

export type Rgb = readonly [red: number, green: number, blue: number];

/** @returns undefined for a file that Pillow refuses: a broken chunk in front of the image data, a tRNS that is too short */
export function readPngKey(bytes: Buffer): PngKey | undefined {
  let key: Buffer | undefined;
  let palette: Buffer | undefined;
  let frames: number | undefined;
  let isBehindData = false;
  for (let at = signatureBytes; ; ) {
    const chunk = chunkAt(bytes, at);
    if (chunk === undefined || chunk.type === "IEND") break;
    if (isBehindData && chunk.type === "fcTL" && (frames ?? 1) > 1) break; // the next picture begins
    if (chunk.type === "IDAT") isBehindData = true;
    else if (!isBehindData && (chunk.end > bytes.length || !hasValidCrc(bytes, at + 4, chunk.end - 4))) return undefined;
    if (chunk.type === "tRNS") key = chunk.data;
    if (chunk.type === "PLTE" && !isBehindData) palette = chunk.data;
    if (chunk.type === "acTL" && !isBehindData) frames = frames === undefined ? frameCount(chunk.data) : undefined;
    at = chunk.end;
  }
  if (key === undefined) return { colourKey: undefined };
  const colourType = bytes.readUInt8(25);
  if (key.length < (keyBytes[colourType] ?? 0)) return undefined;
  return { colourKey: colourKeyOf(key, bytes.readUInt8(24), colourType, palette) };
}

/** What an animation says of itself; a second such word takes the first one back. */
function frameCount(data: Buffer): number | undefined {
  const count = data.length < 8 ? 0 : data.readUInt32BE(0);
  return count === 0 || count > 0x8000_0000 ? undefined : count;
}

const grey = 0;
const trueColour = 2;
const paletted = 3;
const keyBytes: Readonly<Record<number, number>> = { [grey]: 2, [trueColour]: 6 };
const black: Rgb = [0, 0, 0];

function colourKeyOf(key: Buffer, depth: number, colourType: number, palette: Buffer | undefined): Rgb | undefined {
  switch (colourType) {
    case grey:
      return greyKey(key.readUInt16BE(0), depth);
    case trueColour:
      // The low bytes, also of 16-bit keys, though it is the pixels' high bytes that remain.
      return [key.readUInt8(1), key.readUInt8(3), key.readUInt8(5)];
    case paletted:
      return paletteKey(key, palette);
    default:
      return undefined;
  }
}

function greyKey(value: number, depth: number): Rgb | undefined {
  if (depth === 1) return value === 0 ? black : undefined;
  if (depth === 16) return value % 256 === 0 ? black : undefined;
  const level = Math.min(255, value);
  return [level, level, level];
}

/** Only a table with exactly one transparent and else opaque entries is a key; its colour is keyed wherever it occurs. */
function paletteKey(table: Buffer, palette: Buffer | undefined): Rgb | undefined {
  const index = table.indexOf(0);
  const isKey = index >= 0 && table.every((alpha, i) => alpha === (i === index ? 0 : 255));
  if (!isKey) return undefined;
  const at = 3 * Math.min(255, index);
  if (palette === undefined || at + 3 > palette.length) return black;
  return [palette.readUInt8(at), palette.readUInt8(at + 1), palette.readUInt8(at + 2)];
}

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
  /** Behind the CRC, which a file that was cut off may lack: nobody looks at it behind the image data. */
  readonly end: number;
}

/** Undefined at the end of the file, in a truncated chunk, and where the type is not four letters. */
function chunkAt(bytes: Buffer, at: number): Chunk | undefined {
  if (at + 8 > bytes.length) return undefined;
  const dataEnd = at + 8 + bytes.readUInt32BE(at);
  const type = bytes.toString("latin1", at + 4, at + 8);
  if (dataEnd > bytes.length || !/^\w{4}$/.test(type)) return undefined;
  return { type, data: bytes.subarray(at + 8, dataEnd), end: dataEnd + 4 };
}

/** The CRC of [from, to) stands at `to`. */
function hasValidCrc(bytes: Buffer, from: number, to: number): boolean {
  return crc32(bytes.subarray(from, to)) === bytes.readUInt32BE(to);
}
