// SentencePiece BPE with byte fallback: Llama 2, Vicuna, Phi-3, InternLM2, Gemma, Mistral.
//
//   "Hi you" ─ "▁" for spaces (and one in front) ─ cut before "▁" ─ characters → merges → ids
//              by the normaliser, or by a Metaspace pre-tokeniser
//   a character that the vocabulary lacks: its UTF-8 bytes, <0xE4> <0xBD> <0xA0>
//
// Source: Hugging Face tokenizers 0.23; same ids on all recorded inputs.
// I1  Cutting before a run of "▁" changes nothing: no token has the character before it and "▁" side by side, unless that
//     character is in `joinsNext`, where the text is not cut.
import { forEachOf, type Steps } from "../steps.ts";
import { mergePairs } from "./byte-pairs.ts";
import { MergeTable } from "./merge-table.ts";
import type { PieceEncoder } from "./piece-encoder.ts";
import type { Stage, TokenizerFile } from "./tokenizer-file.ts";
import { WordCache } from "./word-cache.ts";

const mark = "▁";

/** An encoder for a tokenizer of this kind; undefined for any other. */
export function* sentencePieceEncoder(file: TokenizerFile): Steps<PieceEncoder | undefined> {
  const { vocabulary } = file;
  const marking = markingOf(file);
  // A byte that is a character of its own needs no token: Gemma 2 has none for the tab.
  const byteIds = Array.from(
    { length: 256 },
    (_, byte) => vocabulary.get(byteToken(byte)) ?? (byte < 0x80 ? vocabulary.get(String.fromCharCode(byte)) : undefined),
  );
  if (marking === undefined || !isByteFallbackBpe(file.model) || !byteIds.every((id) => id !== undefined)) return undefined;
  const cut = marking.cutsAtEveryMark ? new RegExp(`(?=${mark})`, "u") : yield* cutOf(vocabulary);
  return new SentencePieceEncoder({ marking, byteIds, vocabulary, merges: yield* MergeTable.of(file.merges, vocabulary), cut });
}

/** How "▁" gets into a text. */
interface Marking {
  readonly by: "normalizer" | "pre-tokenizer";
  /** Which texts get one in front; those of a pre-tokenizer only if they have none. */
  readonly inFront: "always" | "first" | "never";
  readonly cutsAtEveryMark: boolean;
}

function markingOf({ normalizer, preTokenizer }: TokenizerFile): Marking | undefined {
  if (preTokenizer?.type === "Metaspace") return normalizer === null ? metaspaceMarking(preTokenizer) : undefined;
  const prefix = prefixOf(normalizer);
  if (prefix === undefined || !leavesWhole(preTokenizer)) return undefined;
  return { by: "normalizer", inFront: prefix === "" ? "never" : "always", cutsAtEveryMark: false };
}

function metaspaceMarking({ replacement, prepend_scheme: scheme = "always", split = true }: Stage): Marking | undefined {
  if (replacement !== mark || typeof split !== "boolean") return undefined;
  if (scheme !== "always" && scheme !== "first" && scheme !== "never") return undefined;
  return { by: "pre-tokenizer", inFront: scheme, cutsAtEveryMark: split };
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** What the normaliser puts in front of a text; undefined for a normaliser that does more than replace spaces. */
function prefixOf(normalizer: Stage | null): string | undefined {
  const stages =
    normalizer?.type === "Sequence" ? (normalizer["normalizers"] as readonly Stage[]) : normalizer === null ? [] : [normalizer];
  const [first, second] = stages;
  const prepends = first?.type === "Prepend" && first["prepend"] === mark;
  const replace = prepends ? second : first;
  if (stages.length !== (prepends ? 2 : 1) || replace?.type !== "Replace" || replace["content"] !== mark) return undefined;
  return patternText(replace) === " " ? (prepends ? mark : "") : undefined;
}

function patternText(stage: Stage): string | undefined {
  return (stage["pattern"] as { readonly String?: string } | undefined)?.String;
}

/** None, or Gemma's, which splits at spaces where none are left. */
function leavesWhole(preTokenizer: Stage | null): boolean {
  return preTokenizer === null || (preTokenizer.type === "Split" && patternText(preTokenizer) === " ");
}

function isByteFallbackBpe(model: Stage): boolean {
  const isPlain = model["dropout"] == null && model["byte_fallback"] === true && model["ignore_merges"] !== true;
  return model.type === "BPE" && isPlain && !model["continuing_subword_prefix"] && !model["end_of_word_suffix"];
}

/** Where a text may be cut (I1). */
function* cutOf(vocabulary: ReadonlyMap<string, number>): Steps<RegExp> {
  const joinsNext = new Set<string>();
  yield* forEachOf(vocabulary.keys(), (token) => {
    for (let at = token.indexOf(mark, 1); at > 0; at = token.indexOf(mark, at + 1)) {
      const before = [...token.slice(Math.max(0, at - 2), at)].at(-1);
      if (before !== undefined && before !== mark) joinsNext.add(before);
    }
  });
  const characters = [...joinsNext].map((character) => `\\u{${character.codePointAt(0)?.toString(16)}}`).join("");
  return new RegExp(`(?<![${mark}${characters}])(?=${mark})`, "u");
}

interface SentencePieceSettings {
  readonly marking: Marking;
  readonly byteIds: readonly number[];
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly merges: MergeTable;
  readonly cut: RegExp;
}

class SentencePieceEncoder implements PieceEncoder {
  readonly #settings: SentencePieceSettings;
  readonly #cache = new WordCache();

  constructor(settings: SentencePieceSettings) {
    this.#settings = settings;
  }

  normalize(text: string): string {
    const { by, inFront } = this.#settings.marking;
    if (text === "" || by !== "normalizer") return text;
    return (inFront === "always" ? mark : "") + text.replaceAll(" ", mark);
  }

  encode(piece: string, isFirst: boolean, ids: number[]): void {
    const marked = this.#settings.marking.by === "pre-tokenizer" ? this.#marked(piece, isFirst) : piece;
    for (const word of marked.split(this.#settings.cut)) {
      for (const id of this.#cache.get(word) ?? this.#encodeWord(word)) ids.push(id);
    }
  }

  #marked(piece: string, isFirst: boolean): string {
    const { inFront } = this.#settings.marking;
    const marked = piece.replaceAll(" ", mark);
    const isWithout = inFront === "never" || (inFront === "first" && !isFirst);
    return isWithout || marked.startsWith(mark) ? marked : mark + marked;
  }

  #encodeWord(word: string): readonly number[] {
    const { vocabulary, byteIds, merges } = this.#settings;
    const ids: number[] = [];
    for (const character of word) {
      const id = vocabulary.get(character);
      if (id !== undefined) ids.push(id);
      else for (const byte of Buffer.from(character)) ids.push(byteIds[byte] as number);
    }
    mergePairs(ids, merges);
    this.#cache.set(word, ids);
    return ids;
  }
}
