// A unary answer: what a stream would have said, folded.
//
//   chat        content joined per choice, null when there was none; tool call fragments joined by their index
//   completion  text joined per choice, log probabilities appended
//
// Source: Dynamo 1.6.1 (aggregators); evidence: golden frontend chat.*, cmpl.*, text.*. Fragments of tool calls are joined as
// OpenAI clients join them; 1.6.1 loses them.
// I1  Choices stand in the order of their index.
import type { AnswerIdentity } from "./chunks.ts";
import { type CompletionLogprobs, joinedCompletionLogprobs } from "./logprobs.ts";
import type { NvextOut } from "./nvext-fields.ts";
import type { Usage } from "./usage.ts";

/** Part of a tool call; only the first fragment of a call has a name. */
export interface ToolCallFragment {
  readonly index: number;
  readonly id?: string;
  readonly type?: string;
  readonly function?: { readonly name?: string; readonly arguments?: string };
}

/** What one chunk adds to one choice. */
export interface ChatAddition {
  readonly content?: string | undefined;
  readonly reasoning?: string | undefined;
  readonly toolCalls?: readonly ToolCallFragment[] | undefined;
  readonly finishReason?: string | undefined;
  /** Entries of `logprobs.content`. */
  readonly logprobs?: readonly unknown[] | undefined;
}

export interface ToolCall {
  readonly id: string;
  readonly type: string;
  readonly function: { readonly name: string; readonly arguments: string };
}

interface ChatChoice {
  content: string;
  reasoning: string;
  readonly toolCalls: Map<number, ToolCall>;
  finishReason: string | null;
  logprobs: unknown[] | undefined;
}

/** One choice, all chunks joined. */
export interface FoldedChoice {
  readonly content: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: string | null;
  readonly logprobs: readonly unknown[] | undefined;
}

/** Members beside `choices`; absent ones are left out. */
export interface AnswerExtras {
  readonly usage: Usage | undefined;
  readonly nvext?: NvextOut | undefined;
}

export class ChatAggregate {
  readonly #choices = new Map<number, ChatChoice>();

  add(index: number, addition: ChatAddition): void {
    const choice = this.#choice(index);
    choice.content += addition.content ?? "";
    choice.reasoning += addition.reasoning ?? "";
    for (const fragment of addition.toolCalls ?? []) addFragment(choice.toolCalls, fragment);
    choice.finishReason = addition.finishReason ?? choice.finishReason;
    if (addition.logprobs !== undefined) choice.logprobs = [...(choice.logprobs ?? []), ...addition.logprobs];
  }

  /** The only choice of an API that has one; undefined when nothing came. */
  get first(): FoldedChoice | undefined {
    const choice = this.#choices.get(0);
    return choice && { ...choice, toolCalls: byIndex(choice.toolCalls).map(([, call]) => call) };
  }

  /** @param reasoningField name of the member that holds thoughts */
  body({ id, model, created }: AnswerIdentity, { usage, nvext }: AnswerExtras, reasoningField: string): object {
    const choices = byIndex(this.#choices).map(([index, choice]) => ({
      index,
      message: messageOf(choice, reasoningField),
      finish_reason: choice.finishReason,
      logprobs: choice.logprobs === undefined ? null : { content: choice.logprobs, refusal: null },
    }));
    return { id, choices, created, model, object: "chat.completion", usage, nvext };
  }

  #choice(index: number): ChatChoice {
    const known = this.#choices.get(index);
    if (known !== undefined) return known;
    const choice: ChatChoice = { content: "", reasoning: "", toolCalls: new Map(), finishReason: null, logprobs: undefined };
    this.#choices.set(index, choice);
    return choice;
  }
}

function messageOf({ content, reasoning, toolCalls }: ChatChoice, reasoningField: string): object {
  return {
    content: content === "" ? null : content,
    refusal: null,
    tool_calls: toolCalls.size === 0 ? undefined : byIndex(toolCalls).map(([, call]) => call),
    role: "assistant",
    [reasoningField]: reasoning === "" ? undefined : reasoning,
  };
}

function addFragment(calls: Map<number, ToolCall>, { index, id, type, function: part }: ToolCallFragment): void {
  const before = calls.get(index);
  calls.set(index, {
    id: before?.id ?? id ?? "",
    type: before?.type ?? type ?? "function",
    function: {
      name: `${before?.function.name ?? ""}${part?.name ?? ""}`,
      arguments: `${before?.function.arguments ?? ""}${part?.arguments ?? ""}`,
    },
  });
}

export interface CompletionAddition {
  readonly text: string;
  readonly finishReason?: string | undefined;
  readonly logprobs?: CompletionLogprobs | undefined;
}

interface CompletionChoice {
  text: string;
  finishReason: string | undefined;
  logprobs: CompletionLogprobs | undefined;
}

export class CompletionAggregate {
  readonly #choices = new Map<number, CompletionChoice>();

  add(index: number, { text, finishReason, logprobs }: CompletionAddition): void {
    const before = this.#choices.get(index);
    this.#choices.set(index, {
      text: `${before?.text ?? ""}${text}`,
      finishReason: finishReason ?? before?.finishReason,
      logprobs: joinedCompletionLogprobs(before?.logprobs, logprobs),
    });
  }

  body({ id, model, created }: AnswerIdentity, { usage, nvext }: AnswerExtras): object {
    const choices = byIndex(this.#choices).map(([index, { text, finishReason, logprobs }]) => ({
      text,
      index,
      logprobs,
      finish_reason: finishReason,
    }));
    return { id, choices, created, model, system_fingerprint: null, object: "text_completion", usage: usage ?? null, nvext };
  }
}

function byIndex<T>(entries: ReadonlyMap<number, T>): [number, T][] {
  return [...entries].toSorted(([a], [b]) => a - b);
}
