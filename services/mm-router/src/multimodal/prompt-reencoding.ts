// Whether an image request's prompt keeps its tokens inside a worker ≥ 1.0: the engine decodes token_ids to text, and the model's processor
// encodes that text again.
//
//   token_ids ─ decode ─► text ─ encode ─► token_ids        byte-level BPE that adds nothing: bytes go in, the same bytes come out
//                                        ≠ token_ids        a second BOS; spaces lost or gained at ▁ (SentencePiece); text cleaned up
//
// Only the first kind is taken as certain (multimodal.md §5). What tokenizers of the other kinds do depends on the worker's versions of
// transformers and tokenizers, so their prompts are looked up as they are and called degraded.
// I1  Holds for tokens that an encoder made: a frontend's. Text alone is not encoded again.
import type { JsonFields } from "./families/family.ts";

/** The members of tokenizer.json that say how text and tokens are made of each other. */
export interface TokenizerPipeline {
  /** Of `model`, without vocabulary and merges. */
  readonly model: JsonFields;
  readonly normalizer: unknown;
  readonly preTokenizer: unknown;
  readonly postProcessor: unknown;
  readonly decoder: unknown;
  /** Ids of added tokens, by their text. */
  readonly addedTokens: ReadonlyMap<string, number>;
}

/** @param config fields of tokenizer_config.json */
export function keepsTokens(tokenizer: TokenizerPipeline, config: JsonFields): boolean {
  const { model, normalizer, preTokenizer, postProcessor, decoder, addedTokens } = tokenizer;
  const isByteLevel = model["type"] === "BPE" && !model["dropout"] && stepsOf(decoder).join() === "ByteLevel";
  const isSplitByBytes = stepsOf(preTokenizer).at(-1) === "ByteLevel" && !addsPrefixSpace(preTokenizer);
  const isSettledByOnce = stepsOf(normalizer).every((step) => step === "NFC");
  const addsNothing = stepsOf(postProcessor).every((step) => step === "ByteLevel");
  const areAddedReadable = ![...addedTokens.keys()].some((text) => readAsByte.test(text));
  const isConfigured = !["clean_up_tokenization_spaces", "add_bos_token", "add_eos_token"].some((name) => config[name] === true);
  return isByteLevel && isSplitByBytes && isSettledByOnce && addsNothing && areAddedReadable && isConfigured;
}

/** A character that a byte-level decoder takes for a byte, so that an added token with it comes out as another text. */
const readAsByte = /[\u00a1-\u0143]/;

const listsOfSequences = ["normalizers", "pretokenizers", "processors", "decoders"];

/** Types of the steps, in order; sequences are unrolled. */
function stepsOf(step: unknown): unknown[] {
  return leavesOf(step).map(({ type }) => type);
}

function leavesOf(step: unknown): JsonFields[] {
  if (typeof step !== "object" || step === null) return [];
  const fields = step as JsonFields;
  if (fields["type"] !== "Sequence") return [fields];
  return listsOfSequences.flatMap((list) => (Array.isArray(fields[list]) ? fields[list].flatMap(leavesOf) : []));
}

const addsPrefixSpace = (preTokenizer: unknown): boolean => leavesOf(preTokenizer).some((step) => step["add_prefix_space"] === true);
