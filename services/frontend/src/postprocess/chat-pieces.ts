// What a chat client is told of each item: thoughts, text and calls, in the order they came.
//
//   delta {text: "Sure. <tool_call>…</tool_call> bye", finish "stop"}
//   → {content "Sure. "}, {calls [f]}, {content " bye", finish "tool_calls"}
//
// Source: Dynamo 1.6.1, seen running; evidence: golden frontend tool2.hermeschunk.stream, tool2.req*.stream, chat.n2_tool.stream.
// I1  The finish reason is on the last piece; after calls `stop` is `tool_calls`, `length` stays.
// I2  An item whose text is held back gives no piece; one without text that holds nothing back gives an empty one.
import type { ToolCallFragment } from "./aggregate.ts";
import { ForcedCall } from "./calls/forced-call.ts";
import type { SplitText, TextSplitter } from "./calls/call-splitter.ts";
import type { ChatForm } from "./chat-form.ts";
import type { ChoiceDelta, FinishReason } from "./choice-stream.ts";
import { type SplitThought, ThoughtSplitter } from "./reasoning/thought-splitter.ts";

export interface ChatPiece {
  /** undefined: nothing is said about it. */
  readonly content: string | undefined;
  readonly reasoning?: string | undefined;
  readonly toolCalls?: readonly ToolCallFragment[] | undefined;
  readonly finishReason: FinishReason | undefined;
}

export interface ChatPieces {
  readonly pieces: readonly ChatPiece[];
  /** Tokens of the item that were thoughts. */
  readonly reasoningTokens: number;
}

/** Takes the items of all choices of one answer. */
export class ChatShaper {
  readonly #form: ChatForm;
  readonly #choices = new Map<number, ChoiceShaper>();

  constructor(form: ChatForm) {
    this.#form = form;
  }

  push(delta: ChoiceDelta): ChatPieces {
    let choice = this.#choices.get(delta.index);
    if (choice === undefined) this.#choices.set(delta.index, (choice = new ChoiceShaper(this.#form)));
    return choice.push(delta);
  }
}

class ChoiceShaper {
  readonly #thoughts: ThoughtSplitter | undefined;
  readonly #calls: TextSplitter | undefined;

  constructor({ thoughts, calls }: ChatForm) {
    this.#thoughts = thoughts && new ThoughtSplitter(thoughts);
    this.#calls = calls?.();
  }

  push({ text, tokenIds, finishReason }: ChoiceDelta): ChatPieces {
    const last = finishReason !== undefined;
    const thought: SplitThought = this.#thoughts?.push(text, last) ?? { reasoning: "", content: text, thinks: false };
    const split: SplitText = this.#calls?.push(thought.content, last) ?? { pieces: [{ text: thought.content }], held: false };
    const pieces = split.pieces.map(pieceOf);
    if (thought.reasoning !== "") withReasoning(pieces, thought.reasoning);
    else if (pieces.length === 0 && (last || !split.held)) pieces.push({ content: undefined, finishReason: undefined }); // I2
    return {
      pieces: finishReason === undefined ? pieces : this.#finished(pieces, finishReason),
      reasoningTokens: thought.thinks ? tokenIds.length : 0,
    };
  }

  #finished(pieces: readonly ChatPiece[], finish: FinishReason): ChatPiece[] {
    const calls = this.#calls;
    const finishReason = finish === "stop" && (calls?.calls ?? 0) > 0 ? "tool_calls" : finish;
    const forced = calls instanceof ForcedCall && calls.calls > 0;
    const end = pieces.at(-1)!;
    if (forced && !calls.complete && end.toolCalls !== undefined) return [...pieces, { content: undefined, finishReason }];
    const content = forced && calls.complete ? (end.content ?? "") : end.content;
    return [...pieces.slice(0, -1), { ...end, content, finishReason }];
  }
}

function pieceOf({ text, calls }: SplitText["pieces"][number]): ChatPiece {
  return { content: calls !== undefined ? "" : text || undefined, toolCalls: calls, finishReason: undefined };
}

/** Thoughts come before the text of their item, in one piece with it. */
function withReasoning(pieces: ChatPiece[], reasoning: string): void {
  const [first] = pieces;
  if (first === undefined || first.toolCalls !== undefined) pieces.unshift({ content: undefined, reasoning, finishReason: undefined });
  else pieces[0] = { ...first, reasoning };
}
