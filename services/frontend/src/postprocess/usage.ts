// Token counts of an answer.
//
//   prompt_tokens       token ids sent (images unexpanded), unless an item carries `completion_usage`: then its number
//   completion_tokens   token ids received, up to the stop; the worker's own count is not used
//   cached_tokens       from the item's completion_usage
//   reasoning_tokens    with a reasoning parser: tokens of thoughts, and of the tags that end them
//
// Source: Dynamo 1.6.1 (delta generators); evidence: golden frontend chat.cu, chat.usage*, cmpl.cu.
// I1  Without a finish reason there is no usage: a broken answer has none to tell.
import type { CompletionUsage } from "@mm-router/protocol";

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: Readonly<Record<string, number | null>>;
  readonly completion_tokens_details?: { readonly reasoning_tokens: number };
}

export class UsageCount {
  promptTokens: number;
  completionTokens = 0;
  cachedTokens: number | undefined;
  /** Tokens of the answer that the present worker got as part of its prompt. */
  carriedTokens = 0;
  /** undefined: the answer is not looked through for thoughts. */
  reasoningTokens: number | undefined;
  /** Set by the first finish reason (I1). */
  finished = false;
  /** Members of `prompt_tokens_details` that are written as null when unknown: none in chat. */
  readonly #emptyDetails: Readonly<Record<string, null>>;

  constructor(promptTokens: number, api: "chat" | "completion") {
    this.promptTokens = promptTokens;
    this.#emptyDetails = api === "chat" ? {} : { audio_tokens: null };
  }

  /** Takes the worker's word for the prompt. */
  correct(usage: CompletionUsage): void {
    this.promptTokens = usage.prompt_tokens - this.carriedTokens;
    this.cachedTokens = usage.prompt_tokens_details?.cached_tokens ?? this.cachedTokens;
  }

  /** Tokens that count as completion tokens already. */
  addReasoning(tokens: number): void {
    if (this.reasoningTokens !== undefined) this.reasoningTokens += tokens;
  }

  now(): Usage {
    const { promptTokens, completionTokens, cachedTokens, reasoningTokens } = this;
    return {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      ...(cachedTokens !== undefined && { prompt_tokens_details: { ...this.#emptyDetails, cached_tokens: cachedTokens } }),
      ...(reasoningTokens !== undefined && { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
    };
  }
}

/** Usage of several prompts that are answered together. */
export function sumOfUsage(parts: readonly Usage[]): Usage {
  const sum = (of: (usage: Usage) => number) => parts.reduce((total, usage) => total + of(usage), 0);
  const details = parts.flatMap((usage) => (usage.prompt_tokens_details === undefined ? [] : [usage.prompt_tokens_details]));
  const cached = details.reduce((total, each) => total + (each["cached_tokens"] ?? 0), 0);
  return {
    prompt_tokens: sum((usage) => usage.prompt_tokens),
    completion_tokens: sum((usage) => usage.completion_tokens),
    total_tokens: sum((usage) => usage.total_tokens),
    ...(details.length > 0 && { prompt_tokens_details: { ...details[0], cached_tokens: cached } }),
  };
}
