// The answer to a forced tool choice: JSON that the engine was held to, streamed as the arguments of calls.
//
//   required   [{"name": "f", "parameters": {"a": 1}}, …]
//   named      {"a": 1}
//
//   push('[{"name": "f", "parameters": {"')   → call f, arguments '{"'
//   push('a')                                 → arguments 'a'
//
// What does not begin like that JSON is held to the end: it may be a call in the model's own format, else it is text.
// Source: Dynamo 1.6.1, seen running; evidence: golden frontend tool.required*, tool.named*, tool2.req*, tool2.named*. A cut call
// keeps its fragments in unary answers too (1.6.1 drops them there).
import { randomUUID } from "node:crypto";
import type { ToolCallFragment } from "../aggregate.ts";
import type { CallPiece, SplitText, TextSplitter } from "./call-splitter.ts";
import { endOfValue, parsedJson } from "./json-text.ts";

/** Where the text stands: before a call's arguments, within them, or beyond hope. */
type Phase = "undecided" | "between" | "arguments" | "other";

const argumentsBegin = /"(?:parameters|arguments)"\s*:\s*(?=\{)/;

export class ForcedCall implements TextSplitter {
  /** Set for a named choice. */
  readonly #name: string | undefined;
  readonly #otherwise: TextSplitter | undefined;
  #phase: Phase = "undecided";
  #held = "";
  /** Of the arguments, those given included. */
  #arguments = "";
  calls = 0;

  /** @param name of the only function that may be called; undefined: any @param otherwise reads what is not that JSON */
  constructor(name: string | undefined, otherwise: TextSplitter | undefined) {
    this.#name = name;
    this.#otherwise = otherwise;
  }

  /** All arguments are complete. */
  get complete(): boolean {
    return this.#phase !== "arguments";
  }

  push(text: string, last: boolean): SplitText {
    this.#held += text;
    if (this.#phase === "undecided") this.#decide();
    if (this.#phase === "undecided" || this.#phase === "other") return this.#heldBack(last);
    const fragments: ToolCallFragment[] = [];
    while (this.#step(fragments)) {
      // one call at a time
    }
    if (last && this.calls === 0) {
      this.#phase = "other";
      return this.#heldBack(true);
    }
    return { pieces: fragments.map((fragment) => ({ calls: [fragment] })), held: fragments.length === 0 };
  }

  #decide(): void {
    const begun = this.#held.trimStart();
    if (this.#name !== undefined && begun.startsWith("{")) this.#phase = "between";
    else if (this.#name === undefined && /^\[\s*\{/.test(begun)) this.#phase = "between";
    else if (begun !== "" && !(this.#name === undefined && /^\[\s*$/.test(begun))) this.#phase = "other";
  }

  #heldBack(last: boolean): SplitText {
    if (!last) return { pieces: [], held: this.#held !== "" };
    const { pieces } = this.#otherwise?.push(this.#held, true) ?? { pieces: textPieces(this.#held) };
    this.calls = this.#otherwise?.calls ?? 0;
    this.#held = "";
    return { pieces, held: false };
  }

  /** @returns whether the next call may have begun */
  #step(fragments: ToolCallFragment[]): boolean {
    if (this.#phase === "between" && !this.#begin()) return false;
    const begins = this.#arguments === "";
    const before = this.#arguments.length;
    const all = this.#arguments + this.#held;
    const end = endOfValue(all, 0);
    this.#arguments = all.slice(0, end);
    this.#held = end === undefined ? "" : all.slice(end);
    const added = this.#arguments.slice(before);
    if (added !== "") fragments.push(this.#fragment(added, begins));
    if (end === undefined) return false;
    this.#phase = "between";
    this.#arguments = "";
    return this.#name === undefined;
  }

  /** Moves on to the arguments of the next call, when its name is known. */
  #begin(): boolean {
    if (this.#name !== undefined) {
      if (this.calls > 0) return false;
      this.#held = this.#held.trimStart();
    } else {
      const found = argumentsBegin.exec(this.#held);
      const name = found === null ? undefined : nameIn(this.#held.slice(0, found.index));
      if (found === null || name === undefined) return false;
      this.#nextName = name;
      this.#held = this.#held.slice(found.index + found[0].length);
    }
    this.calls++;
    this.#phase = "arguments";
    return true;
  }

  #nextName = "";

  #fragment(added: string, begins: boolean): ToolCallFragment {
    const index = this.calls - 1;
    if (!begins) return { index, function: { arguments: added } };
    const name = this.#name ?? this.#nextName;
    return { index, id: `call-${randomUUID()}`, type: "function", function: { name, arguments: added } };
  }
}

function nameIn(text: string): string | undefined {
  const found = /"name"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(text);
  const name = found === null ? undefined : parsedJson(found[1]!);
  return typeof name === "string" ? name : undefined;
}

function textPieces(text: string): CallPiece[] {
  return text === "" ? [] : [{ text }];
}
