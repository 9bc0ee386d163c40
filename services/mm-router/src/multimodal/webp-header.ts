// The size and mode of a WebP file.
//
//   0 "RIFF"  4 size  8 "WEBP"  12 "VP8 " | "VP8L" | "VP8X"  16 chunk size  20 …
//     VP8    23 9d 01 2a   26 u16 width, 28 u16 height, 14 bits each
//     VP8L   20 2f         21 u32: 14 bits width − 1, 14 bits height − 1, 1 bit alpha
//     VP8X   20 flags (10 = alpha)   24 u24 width − 1, 27 u24 height − 1
import { type HeaderReading, type ImageMode, short, undecodable, unsupported } from "./image-format.ts";

const vp8xAlpha = 0x10;

export function readWebpHeader(bytes: Buffer): HeaderReading {
  if (bytes.length < 30) return short;
  switch (bytes.toString("latin1", 12, 16)) {
    case "VP8 ":
      if (bytes.readUIntBE(23, 3) !== 0x9d012a) return undecodable;
      return header("RGB", bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff);
    case "VP8L": {
      if (bytes[20] !== 0x2f) return undecodable;
      const bits = bytes.readUInt32LE(21);
      return header((bits >>> 28) & 1 ? "RGBA" : "RGB", (bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1);
    }
    case "VP8X":
      return header(bytes.readUInt8(20) & vp8xAlpha ? "RGBA" : "RGB", bytes.readUIntLE(24, 3) + 1, bytes.readUIntLE(27, 3) + 1);
    default:
      return unsupported;
  }
}

function header(mode: ImageMode, width: number, height: number): HeaderReading {
  return { kind: "header", header: { format: "webp", mode, width, height } };
}
