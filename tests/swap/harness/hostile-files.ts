// Image files as an enemy or a broken disk makes them, the same ones in every run: real files of every kind, damaged in one of many ways.
//
//   bytes      cut off, flipped, inserted, removed, repeated, two files in one
//   headers    other sizes with right checksums, 1 × 65535, 100 megapixels over a few bytes, EXIF, several pictures
//   chunks     colour keys, palettes, profiles and animation marks where they do not belong, checksums right
//   no images  text, SVG, PDF, other formats, noise
import { readFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";
import { golden, goldenPath } from "@mm-router/testkit";
import { Dice } from "./dice.ts";

export interface HostileFile {
  /** Number, original and what was done to it. */
  readonly name: string;
  readonly bytes: Buffer;
}

type Damage = (file: Buffer, dice: Dice, other: Buffer) => Buffer;

const damages: Readonly<Record<string, Damage>> = {
  "cut off": (file, dice) => file.subarray(0, dice.below(file.length)),
  "cut off near the end": (file, dice) => file.subarray(0, file.length - 1 - dice.below(Math.min(40, file.length - 1))),
  "flipped bytes": (file, dice) => flipped(file, dice, 1 + dice.below(8), file.length),
  "flipped head": (file, dice) => flipped(file, dice, 1 + dice.below(3), Math.min(file.length, 80)),
  inserted: (file, dice) => inserted(file, dice.below(file.length), dice.bytes(1 + dice.below(60))),
  removed: (file, dice) => {
    const at = dice.below(file.length);
    return Buffer.concat([file.subarray(0, at), file.subarray(at + 1 + dice.below(60))]);
  },
  repeated: (file, dice) => {
    const at = dice.below(file.length);
    return inserted(file, at, file.subarray(at, at + 1 + dice.below(200)));
  },
  spliced: (file, dice, other) => Buffer.concat([file.subarray(0, dice.below(file.length)), other.subarray(dice.below(other.length))]),
  "another file behind": (file, _dice, other) => Buffer.concat([file, other]),
  "another head before": (file, dice) => Buffer.concat([dice.of(heads), file]),
  "another size": (file, dice) => resized(file, dice.of(sides)(dice), dice.of(sides)(dice)),
  "another chunk": (file, dice) => withSegment(file, dice),
  "two more chunks": (file, dice) => withSegment(withSegment(file, dice), dice),
  bomb: (_file, dice) =>
    pngOf(1 + dice.below(30_000), 1 + dice.below(30_000), dice.of([0, 2, 3, 6]), deflateSync(Buffer.alloc(1 + dice.below(5_000)))),
  "no image": (_file, dice) => dice.of(strangers),
  noise: (_file, dice) => dice.bytes(dice.below(400)),
};

const sides: readonly ((dice: Dice) => number)[] = [
  () => 0,
  () => 1,
  () => 65_535,
  () => 10_000,
  (dice) => 1 + dice.below(40),
  (dice) => 1 + dice.below(2_000),
];

const heads = ["GIF89a", "<svg ", "%PDF-1.7\n", "\u0000\u0000\u0000\u0020ftypavif", "BM", "II*\u0000"].map((head) =>
  Buffer.from(head, "latin1"),
);

const strangers = [
  ...[
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "<html><img src=x></html>",
    "%PDF-1.7\n1 0 obj\n",
    "",
    "P6 2 2 255 ",
  ],
  ...[
    "GIF89a\u0001\u0000\u0001\u0000\u0000\u0000\u0000;",
    "\u0089PNG\r\n\u001a\n",
    "\u00ff\u00d8\u00ff",
    "RIFF\u0004\u0000\u0000\u0000WEBP",
  ],
].map((text) => Buffer.from(text, "latin1"));

export function hostileFiles(count: number, seed: number): HostileFile[] {
  const { cases } = golden<{ cases: { file: string; accepted: boolean }[] }>("multimodal/decode.json");
  const files = cases
    .filter(({ accepted, file }) => accepted || file === "mpo.jpg")
    .map(({ file }) => ({ file, bytes: readFileSync(goldenPath(`multimodal/files/${file}`)) }));
  const originals = files.filter(({ bytes }) => bytes.length > 60 && bytes.length < 60_000);
  const dice = new Dice(seed);
  const names = Object.keys(damages);
  return Array.from({ length: count }, (_, n) => {
    const { file, bytes } = dice.of(originals);
    const damage = names[n % names.length]!;
    return { name: `${n} ${file}: ${damage}`, bytes: damages[damage]!(bytes, dice, dice.of(originals).bytes) };
  });
}

function flipped(file: Buffer, dice: Dice, times: number, within: number): Buffer {
  const copy = Buffer.from(file);
  for (let i = 0; i < times; i++) copy[dice.below(within)] = dice.below(256);
  return copy;
}

function inserted(file: Buffer, at: number, more: Buffer): Buffer {
  return Buffer.concat([file.subarray(0, at), more, file.subarray(at)]);
}

const isPng = (file: Buffer): boolean => file.readUInt32BE(0) === 0x89504e47;
const isJpeg = (file: Buffer): boolean => file.readUInt16BE(0) === 0xffd8;

/** Another size in the header, the checksum right where there is one. */
function resized(file: Buffer, width: number, height: number): Buffer {
  const copy = Buffer.from(file);
  if (isPng(file)) {
    copy.writeUInt32BE(width, 16);
    copy.writeUInt32BE(height, 20);
    copy.writeUInt32BE(crc32(copy.subarray(12, 29)), 29);
  } else if (isJpeg(file)) {
    const frame = /\u00ff[\u00c0\u00c1\u00c2]\u0000/.exec(file.toString("latin1"))?.index;
    if (frame !== undefined) {
      copy.writeUInt16BE(height, frame + 5);
      copy.writeUInt16BE(width, frame + 7);
    }
  } else if (file.length > 30) {
    copy.writeUInt16LE(width & 0x3fff, 26);
    copy.writeUInt16LE(height & 0x3fff, 28);
  }
  return copy;
}

/** A chunk of a PNG or a segment of a JPEG where it may stand or not; RIFF files get theirs at the end. */
function withSegment(file: Buffer, dice: Dice): Buffer {
  if (isPng(file)) {
    const type = dice.of([
      "tRNS",
      "PLTE",
      "gAMA",
      "cHRM",
      "sRGB",
      "sBIT",
      "bKGD",
      "iCCP",
      "eXIf",
      "acTL",
      "fcTL",
      "fdAT",
      "tEXt",
      "IDAT",
      "IEND",
      "xxXx",
    ]);
    const data =
      type === "tRNS"
        ? dice.of([colourOfFirst, keyOfNothing, alphaTable])(dice)
        : dice.bytes(dice.of([0, 1, 2, 3, 4, 6, 8, 12, 26, 32, 768]));
    return inserted(file, dice.of(pngChunksOf(file)), pngChunk(type, data));
  }
  if (isJpeg(file)) return inserted(file, 2, dice.of(jpegSegments)(dice));
  return Buffer.concat([
    file,
    Buffer.from(dice.of(["EXIF", "ICCP", "XMP ", "ANIM", "ANMF", "VP8 "]), "latin1"),
    Buffer.from([4, 0, 0, 0, 1, 2, 3, 4]),
  ]);
}

const colourOfFirst = (dice: Dice): Buffer => Buffer.from([0, dice.below(256), 0, dice.below(256), 0, dice.below(256)]);
const keyOfNothing = (dice: Dice): Buffer => dice.bytes(dice.below(8));
const alphaTable = (dice: Dice): Buffer => Buffer.from(Array.from({ length: 1 + dice.below(256) }, () => (dice.below(40) === 0 ? 0 : 255)));

const jpegSegments: readonly ((dice: Dice) => Buffer)[] = [
  (dice) => jpegSegment(0xe1, exifWith(dice.below(12))),
  (dice) => jpegSegment(0xe2, Buffer.concat([Buffer.from("ICC_PROFILE\0\u0001\u0001"), dice.bytes(40)])),
  (dice) => jpegSegment(0xe2, Buffer.concat([Buffer.from("MPF\0"), dice.bytes(60)])),
  (dice) => jpegSegment(0xee, Buffer.concat([Buffer.from("Adobe\0d\0\0\0\0"), Buffer.from([dice.below(4)])])),
  (dice) => jpegSegment(0xdd, dice.bytes(2)),
  (dice) => jpegSegment(0xfe, dice.bytes(dice.below(100))),
];

function exifWith(orientation: number): Buffer {
  return Buffer.from([...Buffer.from("Exif\0\0II*\0"), 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0]);
}

function jpegSegment(marker: number, data: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(data.length + 2, 2);
  return Buffer.concat([head, data]);
}

/** Where chunks begin, behind the first. */
function pngChunksOf(file: Buffer): number[] {
  const starts: number[] = [];
  for (let at = 33; at + 12 <= file.length; at += 12 + file.readUInt32BE(at)) starts.push(at);
  return starts.length > 0 ? starts : [file.length];
}

function pngChunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const chunk = Buffer.alloc(named.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  named.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(named), named.length + 4);
  return chunk;
}

function pngOf(width: number, height: number, colourType: number, data: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, colourType], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, pngChunk("IHDR", header), pngChunk("IDAT", data), pngChunk("IEND", Buffer.alloc(0))]);
}
