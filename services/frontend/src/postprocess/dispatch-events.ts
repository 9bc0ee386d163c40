// Events of their own for what agents wait for: a call that is complete, a thought that has ended.
//
//   event: tool_call_dispatch   {"choice_index":0,"tool_call":{"index","id","type","function":{"name","arguments"}}}
//   event: reasoning_dispatch   {"index":0,"reasoning_content":"all of it"}
//
// Each comes before the chunk that completes it. Source: Dynamo 1.6.1 (--enable-streaming-tool-dispatch, -reasoning-dispatch);
// evidence: golden frontend variants (dispatch).
import type { ToolCallFragment } from "./aggregate.ts";
import { parsedJson } from "./calls/json-text.ts";
import type { ChatPiece } from "./chat-pieces.ts";
import type { EventSink } from "./streamed-answer.ts";

export interface DispatchOptions {
  readonly tools: boolean;
  readonly reasoning: boolean;
}

interface Told {
  reasoning: string;
  /** Calls whose arguments are not complete yet. */
  readonly calls: Map<number, ToolCallFragment>;
}

export class DispatchEvents {
  readonly #sink: Pick<EventSink, "named">;
  readonly #options: DispatchOptions;
  readonly #choices = new Map<number, Told>();

  constructor(sink: Pick<EventSink, "named">, options: DispatchOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  before(index: number, piece: ChatPiece): void {
    const told = this.#choices.get(index) ?? { reasoning: "", calls: new Map() };
    this.#choices.set(index, told);
    if (this.#options.reasoning) this.#noteThought(index, told, piece);
    if (this.#options.tools) for (const fragment of piece.toolCalls ?? []) this.#noteCall(index, told, fragment);
  }

  #noteThought(index: number, told: Told, { reasoning = "", content, toolCalls, finishReason }: ChatPiece): void {
    told.reasoning += reasoning;
    if (told.reasoning === "" || (content === undefined && toolCalls === undefined && finishReason === undefined)) return;
    this.#sink.named("reasoning_dispatch", JSON.stringify({ index, reasoning_content: told.reasoning }));
    told.reasoning = "";
  }

  #noteCall(index: number, { calls }: Told, fragment: ToolCallFragment): void {
    const begun = calls.get(fragment.index) ?? fragment;
    const written = `${begun === fragment ? "" : begun.function?.arguments}${fragment.function?.arguments ?? ""}`;
    const call = { ...begun, function: { ...begun.function, arguments: written } };
    const complete = parsedJson(written) !== undefined;
    if (complete) calls.delete(fragment.index);
    else calls.set(fragment.index, call);
    if (complete) this.#sink.named("tool_call_dispatch", JSON.stringify({ choice_index: index, tool_call: call }));
  }
}
