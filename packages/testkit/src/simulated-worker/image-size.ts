// How many tokens an image of a request takes: its size from its header, its tokens by the rule of Qwen2-VL's processor.
//
//   PNG   … IHDR width:u32be height:u32be          JPEG  FF C0…CF (but C4 C8 CC) length:u16 bits:u8 height:u16be width:u16be
//
// Written apart from the router's own arithmetic, which the simulated worker is there to meet.
// Source: Qwen2VLImageProcessor (transformers 4.57), smart_resize: sides are multiples of patch × merge, the area within bounds.

export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

export interface ImageRule {
  /** Pixels of a side that become one token: patch size × merge size. */
  readonly tokenSide: number;
  readonly pixelsMin: number;
  readonly pixelsMax: number;
}

/** Size of a PNG or JPEG; undefined for anything else. */
export function imageSize(bytes: Buffer): ImageSize | undefined {
  if (bytes.length >= 24 && bytes.readUInt32BE(0) === 0x89504e47) return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  if (bytes.length >= 4 && bytes.readUInt16BE(0) === 0xffd8) return jpegSize(bytes);
  return undefined;
}

function jpegSize(bytes: Buffer): ImageSize | undefined {
  for (let at = 2; at + 9 <= bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes[at + 1]!;
    if (bytes[at] !== 0xff) return undefined;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker); // not tables, not reserved
    if (isFrame) return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
  }
  return undefined;
}

/** Tokens of an image after the processor's resize. */
export function imageTokens({ width, height }: ImageSize, { tokenSide, pixelsMin, pixelsMax }: ImageRule): number {
  let columns = roundHalfToEven(width / tokenSide);
  let rows = roundHalfToEven(height / tokenSide);
  const area = columns * rows * tokenSide ** 2;
  if (area > pixelsMax) {
    const shrink = Math.sqrt((width * height) / pixelsMax);
    columns = Math.max(1, Math.floor(width / shrink / tokenSide));
    rows = Math.max(1, Math.floor(height / shrink / tokenSide));
  } else if (area < pixelsMin) {
    const grow = Math.sqrt(pixelsMin / (width * height));
    columns = Math.ceil((width * grow) / tokenSide);
    rows = Math.ceil((height * grow) / tokenSide);
  }
  return columns * rows;
}

/** Python's `round`. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const isHalf = value - floor === 0.5;
  return isHalf ? floor + (floor % 2) : Math.round(value);
}
