// `data:` URLs as workers from Dynamo 1.2 on read them: base64 of an image, strictly.
//
//   data:image/<anything>;…;base64<anything>,<base64>[?…][#…]
//
// Source: ImageLoader.load_image of Dynamo 1.2.1 … 1.6.1, which leaves splitting to Python's urlparse. Vectors: multimodal/data_urls.json.
// G1  `image/` and `;base64` are lower case, the scheme is not; what the subtype says does not matter.
// G2  Nothing is percent-decoded, and no character outside the standard alphabet is skipped (1.0 skips: such input degrades there).
// G3  The limit counts the whole URL in UTF-8 bytes (1.5: DYN_MM_MAX_DATA_URL_MB).
// G4  Megabytes of base64 pass here on the event loop: `includes` and `indexOf` search at memory speed, regular expressions do not, and
//     decoding goes piece by piece, so that the caller can pause between them (runtime, `onePerTurn`).
import { ImageProblem } from "@mm-router/protocol";

/** Characters of a piece: a multiple of 4, about 0.1 ms. */
const pieceChars = 128 * 1024;

export function isDataUrl(url: string): boolean {
  return /^[\0-\x20]*data:/i.test(url);
}

/**
 * The decoded bytes, piece by piece; they may be none, or no image.
 *
 * @param urlBytesMax of the whole URL
 * @throws ImageProblem `malformed-data-url`, `too-large`
 */
export function* dataUrlPieces(url: string, urlBytesMax: number): Generator<Buffer> {
  const base64 = base64Of(url, urlBytesMax);
  for (let at = 0; at < base64.length; at += pieceChars) {
    yield strictBytes(base64.slice(at, at + pieceChars), at + pieceChars >= base64.length);
  }
}

function base64Of(url: string, urlBytesMax: number): string {
  if (utf8Bytes(url) > urlBytesMax) {
    throw new ImageProblem("too-large", `the data: URL has more than ${urlBytesMax} bytes`);
  }
  const whole = withoutBreaks(url);
  const rest = upTo(upTo(whole.slice(whole.indexOf(":") + 1), "#"), "?");
  const comma = rest.indexOf(",");
  const type = rest.slice(0, Math.max(0, comma));
  if (!type.startsWith("image/") || !type.includes(";base64")) throw malformed("is not base64 of an image type");
  const base64 = rest.slice(comma + 1);
  if (base64.length % 4 !== 0) throw malformed("has incomplete base64");
  return base64;
}

/** Beyond the comma every character is one byte, or the URL is malformed. */
function utf8Bytes(url: string): number {
  const head = url.slice(0, url.indexOf(",") + 1);
  return Buffer.byteLength(head) + url.length - head.length;
}

function withoutBreaks(text: string): string {
  return ["\t", "\r", "\n"].some((blank) => text.includes(blank)) ? text.replace(/[\t\r\n]/g, "") : text;
}

/** Query and fragment are not data to the worker's URL parser. */
function upTo(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at < 0 ? text : text.slice(0, at);
}

/**
 * Node's decoder skips what is not base64 and takes the URL alphabet too; what it skipped shows in the number of bytes.
 *
 * @param text a multiple of 4 characters; padding is allowed in the last piece
 */
function strictBytes(text: string, isLast: boolean): Buffer {
  const padding = !isLast || !text.endsWith("=") ? 0 : text.endsWith("==") ? 2 : 1;
  const bytes = Buffer.from(text, "base64");
  const isStandard = !text.includes("-") && !text.includes("_") && bytes.length === (text.length / 4) * 3 - padding;
  if (!isStandard) throw malformed("has characters outside the base64 alphabet");
  return bytes;
}

function malformed(what: string): ImageProblem {
  return new ImageProblem("malformed-data-url", `the data: URL ${what}`);
}
