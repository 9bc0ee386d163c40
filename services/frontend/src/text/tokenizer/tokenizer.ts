// Text → token ids.
//
//   text ─ added tokens cut out ─┬─ token → its id
//                                └─ text ─ normalised ─ pieces known already → their ids
//                                                     └ others → engine: byte-level, SentencePiece, or the library
//
// Always as `encode(text, add_special_tokens=False)` of Hugging Face tokenizers: a BOS is there only if the template writes it.
// I1  Ids are those of the whole text. Remembering pieces cannot change them: text between added tokens is encoded on its own.
import { Lru } from "@mm-router/runtime";
import type { LosslessJson } from "@mm-router/protocol";
import type { Steps } from "../steps.ts";
import { AddedTokenSplitter, type Section } from "./added-tokens.ts";
import { byteLevelEncoder } from "./byte-level.ts";
import { fallbackEncoder } from "./fallback.ts";
import type { PieceEncoder } from "./piece-encoder.ts";
import { agreesWithLibrary } from "./self-check.ts";
import { sentencePieceEncoder } from "./sentencepiece.ts";
import { type AddedToken, type Stage, type TokenizerFile, tokenizerFile, withConfiguredTokens } from "./tokenizer-file.ts";
import { Vocabulary } from "./vocabulary.ts";
import { ownCopy } from "./word-cache.ts";

/** Turns of a conversation that come again with the next one. */
const keptPiecesBytes = 16 * 1024 * 1024;
/** UTF-16 units; shorter pieces are as quickly encoded as found. */
const keptPieceMin = 256;

export type EncoderKind = "byte-level" | "sentencepiece" | "library";

interface KeptPiece {
  readonly ids: Uint32Array;
  readonly bytes: number;
}

export class Tokenizer {
  readonly vocabulary: Vocabulary;
  /** Stages of the decoder, for the detokenizer. */
  readonly decoder: Stage | null;
  readonly kind: EncoderKind;
  /** Why a fast engine was not taken, though the file is of its kind. */
  readonly warning: string | undefined;
  readonly #encoder: PieceEncoder;
  readonly #splitter: AddedTokenSplitter;
  /** Added tokens that are searched in normalised text; undefined for none. */
  readonly #normalizedSplitter: AddedTokenSplitter | undefined;
  readonly #kept = new Lru<string, KeptPiece>({ weightMax: keptPiecesBytes, weightOf: ({ bytes }) => bytes });

  private constructor(
    file: TokenizerFile,
    vocabulary: Vocabulary,
    added: readonly AddedToken[],
    { kind, encoder, warning }: ChosenEncoder,
  ) {
    this.vocabulary = vocabulary;
    this.decoder = file.decoder;
    this.kind = kind;
    this.warning = warning;
    this.#encoder = encoder;
    this.#splitter = new AddedTokenSplitter(added.filter(({ normalized }) => !normalized));
    this.#normalizedSplitter = normalizedSplitter(added, encoder);
  }

  /**
   * @param tokenizerJson bytes of tokenizer.json
   * @param config tokenizer_config.json
   * @throws AppError `configuration` for a tokenizer that we cannot run
   */
  static *of(tokenizerJson: Uint8Array, config: ReadonlyMap<string, LosslessJson>): Steps<Tokenizer> {
    const file = yield* tokenizerFile(tokenizerJson);
    const added = withConfiguredTokens(file.addedTokens, file.vocabulary, config);
    const chosen = yield* chooseEncoder(file);
    return new Tokenizer(file, yield* Vocabulary.of(file.vocabulary, added), added, chosen);
  }

  encode(text: string): Uint32Array {
    const ids: number[] = [];
    for (const section of this.#splitter.split(text.toWellFormed())) this.#encodeSection(section, ids);
    return Uint32Array.from(ids);
  }

  #encodeSection({ start, text, id }: Section, ids: number[]): void {
    if (id !== undefined) ids.push(id);
    if (text === undefined) return;
    const isFirst = start === 0;
    if (text.length < keptPieceMin) this.#encodeText(text, isFirst, ids);
    else for (const known of this.#kept.get(keyOf(text, isFirst))?.ids ?? this.#keep(text, isFirst)) ids.push(known);
  }

  #keep(text: string, isFirst: boolean): Uint32Array {
    const fresh: number[] = [];
    this.#encodeText(text, isFirst, fresh);
    const ids = Uint32Array.from(fresh);
    this.#kept.set(ownCopy(keyOf(text, isFirst)), { ids, bytes: text.length * 2 + ids.byteLength });
    return ids;
  }

  #encodeText(text: string, isFirst: boolean, ids: number[]): void {
    const normalized = this.#encoder.normalize(text);
    const sections = this.#normalizedSplitter?.split(normalized) ?? [{ start: 0, text: normalized }];
    for (const { start, text: piece, id } of sections) {
      if (id !== undefined) ids.push(id);
      else if (piece !== undefined && piece !== "") this.#encoder.encode(piece, isFirst && start === 0, ids);
    }
  }
}

/** A leading "▁" depends on whether a piece begins the text. */
function keyOf(text: string, isFirst: boolean): string {
  return (isFirst ? "^" : " ") + text;
}

function normalizedSplitter(added: readonly AddedToken[], encoder: PieceEncoder): AddedTokenSplitter | undefined {
  const tokens = added.filter(({ normalized }) => normalized);
  return tokens.length === 0 ? undefined : new AddedTokenSplitter(tokens, ({ content }) => encoder.normalize(content));
}

interface ChosenEncoder {
  readonly kind: EncoderKind;
  readonly encoder: PieceEncoder;
  readonly warning: string | undefined;
}

function* chooseEncoder(file: TokenizerFile): Steps<ChosenEncoder> {
  const byteLevel = yield* byteLevelEncoder(file);
  const fast = byteLevel ?? (yield* sentencePieceEncoder(file));
  const kind: EncoderKind = byteLevel === undefined ? "sentencepiece" : "byte-level";
  if (fast === undefined) return { kind: "library" as const, encoder: fallbackEncoder(file), warning: undefined };
  if (yield* agreesWithLibrary(fast, file)) return { kind, encoder: fast, warning: undefined };
  const warning = `the ${kind} engine does not agree with the library on this tokenizer; the slower library is used`;
  return { kind: "library" as const, encoder: fallbackEncoder(file), warning };
}
