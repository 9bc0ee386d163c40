// The size and mode of a JPEG file, and whether it is one picture or several.
//
//   FF D8 | FF Ex len app… | FF C0 len  bits height width components … | FF DA          markers up to the first scan
//   APP2 "MPF\0" TIFF → first IFD: B001 number of images, B002 16 bytes per image
//
// Source: JpegImagePlugin.py of Pillow 13, whose walk this follows: bytes that are no marker are skipped, `FF 00` and fill bytes too.
// G1  More than one picture is an MPO, which workers refuse (many phone photos). A marker with one picture is a plain JPEG, so is a
//     damaged marker, so is Ultra HDR (an `hdrgm:Version` in APP1).
import { type HeaderReading, type ImageHeader, type ImageMode, short, undecodable, unsupported } from "./image-format.ts";

const startOfScan = 0xda;
const app1 = 0xe1;
const app2 = 0xe2;
const dht = 0xc4;
const jpgExtension = 0xc8;
const dac = 0xcc;
const dhp = 0xde;

const modes: Readonly<Record<number, ImageMode>> = { 1: "L", 3: "RGB", 4: "CMYK" };
const multiPicture = Buffer.from("MPF\0");
const ultraHdr = Buffer.from(' hdrgm:Version="');

interface Segment {
  readonly marker: number;
  readonly payload: Buffer;
  readonly end: number;
}

export function readJpegHeader(bytes: Buffer): HeaderReading {
  let frame: ImageHeader | undefined;
  let pictures = 1;
  let isUltraHdr = false;
  for (let at = 2; ; ) {
    const segment = nextSegment(bytes, at);
    if (segment === "short") return short;
    if (segment === undefined) return undecodable;
    const { marker, payload } = segment;
    if (marker === startOfScan) break;
    if (isFrame(marker)) {
      frame = frameOf(payload);
      if (frame === undefined) return undecodable;
    }
    if (marker === app1) isUltraHdr ||= payload.includes(ultraHdr);
    if (marker === app2 && payload.subarray(0, 4).equals(multiPicture)) pictures = pictureCount(payload.subarray(4));
    at = segment.end;
  }
  if (frame === undefined) return undecodable;
  return pictures > 1 && !isUltraHdr ? unsupported : { kind: "header", header: frame };
}

/** The next marker and what belongs to it; undefined where Pillow finds none. */
function nextSegment(bytes: Buffer, from: number): Segment | "short" | undefined {
  let at = from;
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) return "short";
    const marker = bytes.readUInt8(at + 1);
    if (marker === 0xff) at += 1;
    else if (marker === 0x00) at += 2;
    else if (marker < 0xc0) return undefined;
    else if (marker === startOfScan) return { marker, payload: bytes.subarray(at, at), end: at };
    else if (hasNoPayload(marker)) at += 2;
    else return segmentAt(bytes, at, marker);
  }
}

function segmentAt(bytes: Buffer, at: number, marker: number): Segment | "short" | undefined {
  if (at + 4 > bytes.length) return "short";
  const end = at + 2 + bytes.readUInt16BE(at + 2);
  if (end < at + 4) return undefined;
  return end > bytes.length ? "short" : { marker, payload: bytes.subarray(at + 4, end), end };
}

/** RST0 … EOI, JPG and its reserved sisters. */
function hasNoPayload(marker: number): boolean {
  return (marker >= 0xd0 && marker <= 0xd9) || marker === jpgExtension || (marker >= 0xf0 && marker <= 0xfd);
}

function isFrame(marker: number): boolean {
  return (marker >= 0xc0 && marker <= 0xcf && marker !== dht && marker !== jpgExtension && marker !== dac) || marker === dhp;
}

/** Undefined for what Pillow refuses: other than 8 bits, other than 1, 3 or 4 components. */
function frameOf(payload: Buffer): ImageHeader | undefined {
  if (payload.length < 6 || payload[0] !== 8) return undefined;
  const mode = modes[payload.readUInt8(5)];
  return mode === undefined ? undefined : { format: "jpeg", mode, width: payload.readUInt16BE(3), height: payload.readUInt16BE(1) };
}

const typeLong = 4;
const typeUndefined = 7;
const numberOfImages = 0xb001;
const imageEntries = 0xb002;
const imageEntryBytes = 16;
const dataFormatMask = 0x0700_0000;

/** Pictures according to a Multi-Picture index (CIPA DC-007); 1 for an index that is damaged. */
function pictureCount(tiff: Buffer): number {
  const order = tiff.toString("latin1", 0, 4);
  if (order !== "MM\0*" && order !== "II*\0") return 1;
  const u16 = (at: number) => (order === "MM\0*" ? tiff.readUInt16BE(at) : tiff.readUInt16LE(at));
  const u32 = (at: number) => (order === "MM\0*" ? tiff.readUInt32BE(at) : tiff.readUInt32LE(at));
  try {
    const directory = u32(4);
    let pictures = 0;
    let entries = 0;
    for (let i = 0; i < u16(directory); i++) {
      const field = directory + 2 + 12 * i;
      if (u16(field) === numberOfImages && u16(field + 2) === typeLong) pictures = u32(field + 8);
      if (u16(field) === imageEntries && u16(field + 2) === typeUndefined) entries = u32(field + 8);
    }
    // Pillow reads every entry and takes the file for a plain JPEG when one is missing or not a JPEG.
    for (let i = 0; i < pictures; i++) {
      if ((u32(entries + imageEntryBytes * i) & dataFormatMask) !== 0) return 1;
    }
    return entries === 0 ? 1 : pictures;
  } catch (error) {
    if (error instanceof RangeError) return 1; // an offset beyond the marker: damaged
    throw error;
  }
}
