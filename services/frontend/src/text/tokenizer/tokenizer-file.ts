// tokenizer.json, as far as we read it.
//
//   {"added_tokens": [...], "normalizer": {...}, "pre_tokenizer": {...}, "decoder": {...},
//    "model": {"type": "BPE", "vocab": {"a": 0, …}, "merges": ["a b", …]}}
//
// Source: Hugging Face tokenizers 0.23, whose files these are. `truncation` and `padding` are ignored on purpose: a prompt is
// never cut silently. From 1.4 on Dynamo adds the special tokens that only tokenizer_config.json names; so do we.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import type { Steps } from "../steps.ts";
import { type Merge, readTokenizerJson } from "./tokenizer-json.ts";

/** Settings of one stage; which ones there are depends on `type`. */
export interface Stage {
  readonly type: string;
  readonly [setting: string]: unknown;
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Searched in the normalised text instead of the text as it came. */
  readonly normalized: boolean;
  /** Not inside a word. */
  readonly singleWord: boolean;
  /** Swallows the white space before it, after it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

export interface TokenizerFile {
  readonly normalizer: Stage | null;
  readonly preTokenizer: Stage | null;
  readonly decoder: Stage | null;
  /** A BPE model's tables are beside it. */
  readonly model: Stage;
  /** The strings of the model's vocabulary with their ids. */
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly merges: readonly Merge[];
  readonly addedTokens: readonly AddedToken[];
}

/** @throws AppError `configuration` for what is no tokenizer.json */
export function* tokenizerFile(bytes: Uint8Array): Steps<TokenizerFile> {
  const { file, tables } = yield* readTokenizerJson(bytes);
  const model = file["model"] as Stage | undefined;
  if (typeof model !== "object" || model === null || typeof model["vocab"] !== "object" || model["vocab"] === null) {
    throw new AppError("configuration", "tokenizer.json has no model with a vocabulary");
  }
  return {
    normalizer: (file["normalizer"] as Stage | undefined) ?? null,
    preTokenizer: (file["pre_tokenizer"] as Stage | undefined) ?? null,
    decoder: (file["decoder"] as Stage | undefined) ?? null,
    // Old files leave the type out.
    model: { ...model, type: model.type ?? (model["merges"] === undefined ? "WordPiece" : "BPE") },
    vocabulary: tables?.vocabulary ?? vocabularyOf(model),
    merges: tables?.merges ?? (model["merges"] as readonly Merge[] | undefined) ?? [],
    addedTokens: ((file["added_tokens"] ?? []) as Readonly<Record<string, unknown>>[]).map(addedToken),
  };
}

function addedToken(entry: Readonly<Record<string, unknown>>): AddedToken {
  return {
    id: Number(entry["id"]),
    content: String(entry["content"]),
    special: entry["special"] === true,
    normalized: entry["normalized"] === true,
    singleWord: entry["single_word"] === true,
    lstrip: entry["lstrip"] === true,
    rstrip: entry["rstrip"] === true,
  };
}

function vocabularyOf({ vocab }: Stage): ReadonlyMap<string, number> {
  if (Array.isArray(vocab)) return new Map(vocab.map((entry, id) => [String(entry[0]), id]));
  return new Map(Object.entries(vocab as Readonly<Record<string, number>>));
}

/**
 * The added tokens, and the special ones that only tokenizer_config.json has in `added_tokens_decoder`: text of the vocabulary
 * keeps its id, new text gets the next free one.
 */
export function withConfiguredTokens(
  added: readonly AddedToken[],
  vocabulary: ReadonlyMap<string, number>,
  config: ReadonlyMap<string, LosslessJson>,
): readonly AddedToken[] {
  const configured = config.get("added_tokens_decoder");
  if (!(configured instanceof Map)) return added;
  const tokens = [...added];
  const known = new Set(added.map(({ content }) => content));
  let next = Math.max(vocabulary.size, ...added.map(({ id }) => id + 1));
  for (const [, entry] of [...configured].sort(([a], [b]) => Number(a) - Number(b))) {
    if (!(entry instanceof Map) || entry.get("special") !== true) continue;
    const token = addedToken(Object.fromEntries(entry));
    if (known.has(token.content)) continue;
    known.add(token.content);
    tokens.push({ ...token, id: vocabulary.get(token.content) ?? next++ });
  }
  return tokens;
}
