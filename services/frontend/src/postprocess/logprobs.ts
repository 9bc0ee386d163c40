// Log probabilities of an item, in the two forms of OpenAI.
//
//   chat         {"content":[{"token","logprob","token_id","bytes":[…],"top_logprobs":[{"token","logprob","bytes"}]}],"refusal":null}
//   completions  {"tokens":[…],"token_logprobs":[…],"top_logprobs":[{"Hi":-0.5}],"text_offset":[]}
//
// Source: Dynamo 1.6.1; evidence: golden frontend chat.logprobs*, cmpl.logprobs*.
// Ours differs twice: alternatives are cut to the number asked for, and `bytes` are the token's own (half a character is not
// EF BF BD).
import { Buffer } from "node:buffer";
import type { EngineOutput, TopLogprob } from "@mm-router/protocol";
import type { TextModel } from "../text/index.ts";
import type { ChoiceDelta } from "./choice-stream.ts";

export interface LogprobOptions {
  readonly text: TextModel;
  /** Alternatives asked for. */
  readonly top: number;
  /** `token_id:13048` instead of the token's text. */
  readonly asTokenIds: boolean;
}

export interface ChatLogprobs {
  readonly content: readonly TokenLogprob[];
  readonly refusal: null;
}

interface TokenText {
  readonly token: string;
  readonly bytes: readonly number[];
}

export interface TokenLogprob extends TokenText {
  readonly logprob: number;
  readonly token_id: number;
  readonly top_logprobs: readonly (TokenText & { readonly logprob: number })[];
}

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  readonly text_offset: readonly number[];
}

/** @returns undefined when the worker gave none with this item */
export function chatLogprobs(delta: ChoiceDelta, options: LogprobOptions): ChatLogprobs | undefined {
  const entries = entriesOf(delta);
  if (entries.length === 0) return undefined;
  const content = entries.map(({ id, logprob, alternatives }): TokenLogprob => {
    const own = textOf(id, undefined, options);
    const all = alternatives ?? [{ rank: 1, token_id: id, logprob }];
    const top = mostLikely(all, options.top).map((each) => {
      const { token, bytes } = textOf(each.token_id, each.token, options);
      return { token, logprob: each.logprob, bytes };
    });
    return { token: own.token, logprob, token_id: id, bytes: own.bytes, top_logprobs: top };
  });
  return { content, refusal: null };
}

/** The sampled token is always among the alternatives, as OpenAI has it. @returns undefined when the worker gave none */
export function completionLogprobs(delta: ChoiceDelta, options: LogprobOptions): CompletionLogprobs | undefined {
  const entries = entriesOf(delta);
  if (entries.length === 0) return undefined;
  const tokenOf = (id: number, given?: string | null) => textOf(id, given, options).token;
  return {
    tokens: entries.map(({ id }) => tokenOf(id)),
    token_logprobs: entries.map(({ logprob }) => logprob),
    top_logprobs: entries.map(({ id, logprob, alternatives }) => {
      const top = mostLikely(alternatives ?? [], options.top).map((each): [string, number] => [
        tokenOf(each.token_id, each.token),
        each.logprob,
      ]);
      return Object.fromEntries([...top, [tokenOf(id), logprob]]);
    }),
    text_offset: [],
  };
}

export function joinedChatLogprobs(a: ChatLogprobs | undefined, b: ChatLogprobs | undefined): ChatLogprobs | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { content: [...a.content, ...b.content], refusal: null };
}

export function joinedCompletionLogprobs(
  a: CompletionLogprobs | undefined,
  b: CompletionLogprobs | undefined,
): CompletionLogprobs | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...a.top_logprobs, ...b.top_logprobs],
    text_offset: [],
  };
}

interface Entry {
  readonly id: number;
  readonly logprob: number;
  readonly alternatives: readonly TopLogprob[] | undefined;
}

/** One per token that counts and whose probability the worker gave. */
function entriesOf({ tokenIds, output }: ChoiceDelta): Entry[] {
  const alternatives = output.top_logprobs ?? undefined;
  if (!output.log_probs && alternatives === undefined) return [];
  return tokenIds.flatMap((id, at): Entry[] => {
    const logprob = output.log_probs?.[at] ?? sampledOf(output, at, id);
    return logprob === undefined ? [] : [{ id, logprob, alternatives: alternatives?.[at] }];
  });
}

function sampledOf(output: EngineOutput, at: number, id: number): number | undefined {
  return output.top_logprobs?.[at]?.find((each) => each.token_id === id)?.logprob;
}

function mostLikely(alternatives: readonly TopLogprob[], top: number): readonly TopLogprob[] {
  if (alternatives.length <= top) return alternatives;
  return alternatives.toSorted((a, b) => b.logprob - a.logprob).slice(0, top);
}

function textOf(id: number, given: string | null | undefined, { text, asTokenIds }: LogprobOptions): TokenText {
  const named = asTokenIds ? `token_id:${id}` : given;
  if (typeof named === "string") return { token: named, bytes: [...Buffer.from(named)] };
  const own = text.tokenText(id);
  return { token: own.text, bytes: [...own.bytes] };
}
