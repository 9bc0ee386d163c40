// Does a fast encoder give the ids that the library gives? Asked once, when a tokenizer is loaded.
//
// The library gets a small tokenizer: only tokens that are part of the text can come out of it, so the others may go. That takes
// milliseconds instead of a second and a hundred megabytes.
import { forEachOf, type Steps } from "../steps.ts";
import { byteCharacters } from "./byte-alphabet.ts";
import { fallbackEncoder } from "./fallback.ts";
import type { PieceEncoder } from "./piece-encoder.ts";
import type { TokenizerFile } from "./tokenizer-file.ts";
import type { Merge } from "./tokenizer-json.ts";

/** Words, spaces, digits, contractions, code, scripts, combining marks, emoji, bytes that are rare. */
const text = [
  "The quick brown fox doesn't jump over 12 lazy dogs; it'll SLEEP, we'VE heard — 3.14159 times!\n\n",
  "def f(x):\n\treturn {'a': x ** 2, \"b\": [1, 2, 3]}  # naïve\r\n  https://example.com/a?b=c&d=%20\n",
  "你好，世界。こんにちは 한국어 Привет мир العربية हिन्दी ไทย é é ﬁ Ⅷ １２３ 😀👩‍👩‍👧 \u00a0\u3000\u200b\ufeff\u0085\u0001",
  "   spaces    and\t\ttabs   \n \n",
].join("");

const pieces = [text, ...text.split(" ")].filter((piece) => piece !== "");

/** Whether `encoder` and the library agree. */
export function* agreesWithLibrary(encoder: PieceEncoder, file: TokenizerFile): Steps<boolean> {
  const small = fallbackEncoder(yield* restricted(file, yield* partsOf([encoder.normalize(text), `▁${text.replaceAll(" ", "▁")}`], file)));
  for (const piece of pieces) {
    if (idsOf(encoder, piece) !== idsOf(small, piece)) return false;
    yield;
  }
  return true;
}

function idsOf(encoder: PieceEncoder, piece: string): string {
  const ids: number[] = [];
  encoder.encode(encoder.normalize(piece), true, ids);
  return ids.join();
}

/** The file with the tokens that are among `parts`, and those of single characters and bytes. */
function* restricted(file: TokenizerFile, parts: ReadonlySet<string>): Steps<TokenizerFile> {
  const vocabulary = new Map<string, number>();
  yield* forEachOf(file.vocabulary, ([token, id]) => {
    if (token.length === 1 || parts.has(token) || token.startsWith("<")) vocabulary.set(token, id);
  });
  const merges: Merge[] = [];
  yield* forEachOf(file.merges, (merge) => {
    if (parts.has(typeof merge === "string" ? merge.replace(" ", "") : merge.join(""))) merges.push(merge);
  });
  return { ...file, vocabulary, merges };
}

/** UTF-16 units; no published token that is part of the text is longer. */
const partMax = 64;

/** The tokens that are parts of the texts, also of their bytes as characters. */
function* partsOf(texts: readonly string[], { vocabulary }: TokenizerFile): Steps<ReadonlySet<string>> {
  const parts = new Set<string>();
  for (const each of texts.flatMap((whole) => [whole, Array.from(Buffer.from(whole), (byte) => byteCharacters[byte]).join("")])) {
    for (let start = 0; start < each.length; start++) {
      for (let end = start + 1; end <= Math.min(each.length, start + partMax); end++) {
        const part = each.slice(start, end);
        if (vocabulary.has(part)) parts.add(part);
      }
      if (start % 16 === 0) yield;
    }
  }
  return parts;
}
