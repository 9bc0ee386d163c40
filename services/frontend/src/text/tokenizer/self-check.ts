// Does a fast encoder give the ids that the library gives? Asked once, when a tokenizer is loaded.
//
// The library gets a small tokenizer: only tokens that are part of the text can come out of it, so the others may go. That takes
// milliseconds instead of a second and a hundred megabytes.
import { byteCharacters } from "./byte-alphabet.ts";
import { fallbackEncoder } from "./fallback.ts";
import type { PieceEncoder } from "./piece-encoder.ts";
import type { Stage, TokenizerFile } from "./tokenizer-file.ts";

/** Words, spaces, digits, contractions, code, scripts, combining marks, emoji, bytes that are rare. */
const text = [
  "The quick brown fox doesn't jump over 12 lazy dogs; it'll SLEEP, we'VE heard — 3.14159 times!\n\n",
  "def f(x):\n\treturn {'a': x ** 2, \"b\": [1, 2, 3]}  # naïve\r\n  https://example.com/a?b=c&d=%20\n",
  "你好，世界。こんにちは 한국어 Привет мир العربية हिन्दी ไทย é é ﬁ Ⅷ １２３ 😀👩‍👩‍👧 \u00a0\u3000\u200b\ufeff\u0085\u0001",
  "   spaces    and\t\ttabs   \n \n",
].join("");

const pieces = [text, ...text.split(" ")].filter((piece) => piece !== "");

/** Whether `encoder` and the library agree. */
export function agreesWithLibrary(encoder: PieceEncoder, file: TokenizerFile, vocabulary: ReadonlyMap<string, number>): boolean {
  const parts = partsOf(pieces.flatMap((piece) => [encoder.normalize(piece), `▁${piece.replaceAll(" ", "▁")}`]));
  const small = fallbackEncoder({ ...file, model: restrictedModel(file.model, vocabulary, parts) });
  return pieces.every((piece) => idsOf(encoder, piece) === idsOf(small, piece));
}

function idsOf(encoder: PieceEncoder, piece: string): string {
  const ids: number[] = [];
  encoder.encode(encoder.normalize(piece), true, ids);
  return ids.join();
}

/** The model with the tokens that are among `parts`, and those of single characters and bytes. */
function restrictedModel(model: Stage, vocabulary: ReadonlyMap<string, number>, parts: ReadonlySet<string>): Stage {
  const vocab: Record<string, number> = Object.create(null);
  for (const [token, id] of vocabulary) {
    if (token.length === 1 || parts.has(token) || token.startsWith("<")) vocab[token] = id;
  }
  const merges = (model["merges"] as readonly (string | readonly [string, string])[]).filter((merge) =>
    parts.has(typeof merge === "string" ? merge.replace(" ", "") : merge.join("")),
  );
  return { ...model, vocab, merges };
}

/** UTF-16 units; no published token that is part of the text is longer. */
const partMax = 64;

/** All parts of the texts, also with their bytes as characters. */
function partsOf(texts: readonly string[]): ReadonlySet<string> {
  const parts = new Set<string>();
  for (const text of texts.flatMap((each) => [each, Array.from(Buffer.from(each), (byte) => byteCharacters[byte]).join("")])) {
    for (let start = 0; start < text.length; start++) {
      for (let end = start + 1; end <= Math.min(text.length, start + partMax); end++) parts.add(text.slice(start, end));
    }
  }
  return parts;
}
