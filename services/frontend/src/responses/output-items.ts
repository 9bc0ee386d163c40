// Items of a response's output while they are streamed: each opens, grows and closes with events of its own.
import {
  functionCallItem,
  type FunctionCall,
  itemId,
  type ItemStatus,
  messageItem,
  reasoningItem,
  reasoningPart,
  textPart,
} from "./response-object.ts";

/** Writes one event. */
export type Emit = (type: string, members: object) => void;

export interface OutputItem {
  /** The item as it stands. */
  readonly object: object;
  /** Once; later calls do nothing. */
  close(status: "completed" | "incomplete"): void;
}

/** What all items share: their place, and the events around them. */
class Frame {
  readonly emit: Emit;
  readonly place: { readonly item_id: string; readonly output_index: number };
  status: ItemStatus = "in_progress";

  constructor(id: string, index: number, emit: Emit, empty: object) {
    this.emit = emit;
    this.place = { item_id: id, output_index: index };
    emit("response.output_item.added", { output_index: index, item: empty });
  }

  done(item: object): void {
    this.emit("response.output_item.done", { output_index: this.place.output_index, item });
  }
}

export class MessageItem implements OutputItem {
  readonly #id = itemId("msg");
  readonly #frame: Frame;
  #text = "";
  readonly #logprobs: object[] = [];

  constructor(index: number, emit: Emit) {
    this.#frame = new Frame(this.#id, index, emit, messageItem(this.#id, "in_progress", []));
    emit("response.content_part.added", { ...this.#place, part: textPart("", []) });
  }

  get object(): object {
    return messageItem(this.#id, this.#frame.status, [this.#part]);
  }

  add(delta: string, logprobs: readonly object[]): void {
    this.#text += delta;
    this.#logprobs.push(...logprobs);
    this.#frame.emit("response.output_text.delta", { ...this.#place, delta, logprobs });
  }

  close(status: "completed" | "incomplete"): void {
    if (this.#frame.status !== "in_progress") return;
    this.#frame.status = status;
    this.#frame.emit("response.output_text.done", { ...this.#place, text: this.#text, logprobs: this.#logprobs });
    this.#frame.emit("response.content_part.done", { ...this.#place, part: this.#part });
    this.#frame.done(this.object);
  }

  get #place(): object {
    return { ...this.#frame.place, content_index: 0 };
  }

  get #part(): object {
    return textPart(this.#text, this.#logprobs);
  }
}

export class ReasoningItem implements OutputItem {
  readonly #id = itemId("rs");
  readonly #frame: Frame;
  #text = "";

  constructor(index: number, emit: Emit) {
    this.#frame = new Frame(this.#id, index, emit, reasoningItem(this.#id, "in_progress", []));
    emit("response.content_part.added", { ...this.#place, part: reasoningPart("") });
  }

  get object(): object {
    return reasoningItem(this.#id, this.#frame.status, [reasoningPart(this.#text)]);
  }

  add(delta: string): void {
    this.#text += delta;
    this.#frame.emit("response.reasoning_text.delta", { ...this.#place, delta });
  }

  close(status: "completed" | "incomplete"): void {
    if (this.#frame.status !== "in_progress") return;
    this.#frame.status = status;
    this.#frame.emit("response.reasoning_text.done", { ...this.#place, text: this.#text });
    this.#frame.emit("response.content_part.done", { ...this.#place, part: reasoningPart(this.#text) });
    this.#frame.done(this.object);
  }

  get #place(): object {
    return { ...this.#frame.place, content_index: 0 };
  }
}

export class CallItem implements OutputItem {
  readonly #call: FunctionCall;
  readonly #frame: Frame;
  #arguments = "";

  constructor(index: number, emit: Emit, call: Omit<FunctionCall, "id">) {
    this.#call = { id: itemId("fc"), ...call };
    this.#frame = new Frame(this.#call.id, index, emit, functionCallItem(this.#call, "in_progress", ""));
  }

  get object(): object {
    return functionCallItem(this.#call, this.#frame.status, this.#arguments);
  }

  add(delta: string): void {
    this.#arguments += delta;
    this.#frame.emit("response.function_call_arguments.delta", { ...this.#frame.place, delta });
  }

  close(status: "completed" | "incomplete"): void {
    if (this.#frame.status !== "in_progress") return;
    this.#frame.status = status;
    const written = { arguments: this.#arguments, name: this.#call.name };
    this.#frame.emit("response.function_call_arguments.done", { ...this.#frame.place, ...written });
    this.#frame.done(this.object);
  }
}
