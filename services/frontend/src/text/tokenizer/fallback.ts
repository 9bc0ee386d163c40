// Any other tokenizer: the stages of Hugging Face's own JavaScript library, behind our splitter of added tokens.
//
// The library encodes exactly, but slowly. Its splitter (matches `single_word` tokens inside words) and its decoder
// (clean-up of spaces, lost BOM) are not used.
// Source: @huggingface/tokenizers 0.2.0.
import { Tokenizer } from "@huggingface/tokenizers";
import { AppError } from "@mm-router/protocol";
import type { PieceEncoder } from "./piece-encoder.ts";
import type { TokenizerFile } from "./tokenizer-file.ts";

/** For any other the library would guess. */
const modelTypes = new Set(["BPE", "Unigram", "WordPiece"]);

/** @throws AppError `configuration` for a stage that the library does not know */
export function fallbackEncoder(file: TokenizerFile): PieceEncoder {
  if (!modelTypes.has(file.model.type)) {
    throw new AppError("configuration", `tokenizer.json has a model of type ${file.model.type}, which is not supported`);
  }
  try {
    return new LibraryEncoder(file);
  } catch (cause) {
    throw new AppError(
      "configuration",
      `tokenizer.json is of a kind that is not supported: ${cause instanceof Error ? cause.message : cause}`,
      { cause },
    );
  }
}

class LibraryEncoder implements PieceEncoder {
  readonly #tokenizer: Tokenizer;

  constructor({ normalizer, preTokenizer, decoder, model: rest, vocabulary, merges }: TokenizerFile) {
    const model = rest.type === "BPE" ? { ...rest, vocab: Object.fromEntries(vocabulary), merges } : rest;
    const file = { version: "1.0", added_tokens: [], normalizer, pre_tokenizer: preTokenizer, post_processor: null, decoder, model };
    this.#tokenizer = new Tokenizer(file, {});
  }

  normalize(text: string): string {
    return this.#tokenizer.normalizer?.normalize(text) ?? text;
  }

  encode(piece: string, isFirst: boolean, ids: number[]): void {
    const { model, pre_tokenizer: preTokenizer } = this.#tokenizer;
    if (model === null) return;
    const words = preTokenizer?.pre_tokenize(piece, { section_index: isFirst ? 0 : 1 }) ?? [piece];
    for (const token of model._call(words)) {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
      if (id !== undefined) ids.push(id);
    }
  }
}
