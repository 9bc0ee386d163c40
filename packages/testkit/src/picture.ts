// Pictures made on the spot: any size, any colour, valid PNG.
//
//   signature · IHDR width height 8 2 0 0 0 · IDAT zlib(0 RGB… per row) · IEND          each chunk: length, name, data, CRC-32
import { crc32, deflateSync } from "node:zlib";

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const trueColour = Buffer.from([8, 2, 0, 0, 0]); // bits per channel, RGB, deflate, adaptive filters, no interlace

/** A picture of one colour, 0xRRGGBB. Different colours of one size are what a cache must not take for each other. */
export function solidPng(width: number, height: number, colour: number): Buffer {
  const size = Buffer.alloc(8);
  size.writeUInt32BE(width, 0);
  size.writeUInt32BE(height, 4);
  const row = Buffer.alloc(1 + 3 * width); // filter type 0, then the pixels
  for (let x = 0; x < width; x++) row.writeUIntBE(colour, 1 + 3 * x, 3);
  const pixels = deflateSync(Buffer.concat(Array<Buffer>(height).fill(row)));
  return Buffer.concat([
    signature,
    chunk("IHDR", Buffer.concat([size, trueColour])),
    chunk("IDAT", pixels),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The bytes as a `data:` URL. */
export function dataUrl(bytes: Uint8Array, contentType = "image/png"): string {
  return `data:${contentType};base64,${Buffer.from(bytes).toString("base64")}`;
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
