// One choice's text, cut into answer and calls while it streams.
//
//   push("Let me see. <to")   → text "Let me see. "        "<to" is held: it may become a marker
//   push("ol_call>\n{…")      → nothing                    a block is held until it is complete
//   push("}</tool_call> ok")  → calls [f], text " ok"
//
// Source: Dynamo 1.6.1 (its "jail"), seen running; evidence: golden frontend tool.*, tool2.*, chat.n2_tool. As there, text that
// holds three characters of a marker, though it goes on otherwise, is held to the end (`<tool then`): clients see the same pieces.
// A marker that is a plain word (phi4's `functools`) is excepted: the word `fun` would hold the rest of the answer.
// I1  What is no call, or is cut off before it is one, is given back as text (1.6.1 loses it).
// I2  White space alone between the last call and the end of the answer is dropped.
import { randomUUID } from "node:crypto";
import type { ChatTool } from "../../preprocess/chat-request.ts";
import type { ToolCallFragment } from "../aggregate.ts";
import { type CallFormat, markerStart, type ParsedCall } from "./call-format.ts";

/** Text, or the calls of one block, in the order they came. */
export interface CallPiece {
  readonly text?: string;
  readonly calls?: readonly ToolCallFragment[];
}

/** What came of a piece of text; `held`: something is kept back. */
export interface SplitText {
  readonly pieces: readonly CallPiece[];
  readonly held: boolean;
}

export interface TextSplitter {
  /** @param last the answer ends with this text */
  push(text: string, last: boolean): SplitText;
  /** Calls that were given, cut ones included. */
  readonly calls: number;
}

export class CallSplitter implements TextSplitter {
  readonly #format: CallFormat;
  readonly #tools: readonly ChatTool[];
  #held = "";
  #inBlock = false;
  /** The held text goes on otherwise than a marker does, and is held all the same. */
  #suspicious = false;
  #atStart = true;
  calls = 0;

  constructor(format: CallFormat, tools: readonly ChatTool[]) {
    this.#format = format;
    this.#tools = tools;
  }

  push(text: string, last: boolean): SplitText {
    this.#held += text;
    const pieces: CallPiece[] = [];
    while (this.#step(pieces, last)) {
      // one block or one stretch of text at a time
    }
    return { pieces, held: this.#held !== "" };
  }

  /** @returns whether there may be more in the held text */
  #step(pieces: CallPiece[], last: boolean): boolean {
    if (this.#held === "") return false;
    return this.#inBlock ? this.#readBlock(pieces, last) : this.#readText(pieces, last);
  }

  #readText(pieces: CallPiece[], last: boolean): boolean {
    const start = this.#format.blockStart(this.#held, this.#atStart);
    if (start?.certain === true) {
      this.#give(pieces, start.at);
      this.#inBlock = true;
      return true;
    }
    if (last) {
      if (this.calls === 0 || this.#held.trim() !== "") this.#give(pieces, this.#held.length);
      this.#held = "";
      return false;
    }
    this.#suspicious ||= start === undefined && looksLikeMarker(this.#held, this.#format.markers);
    if (!this.#suspicious) this.#give(pieces, start?.at ?? this.#held.length);
    return false;
  }

  #readBlock(pieces: CallPiece[], last: boolean): boolean {
    const block = this.#format.readBlock(this.#held, last, this.#tools);
    if (block.kind === "open") return false;
    this.#inBlock = false;
    if (block.kind === "broken") {
      this.#give(pieces, block.length);
      return true;
    }
    this.#held = this.#held.slice(block.length);
    pieces.push({ calls: block.calls.map((call) => this.#fragment(call)) });
    return true;
  }

  #fragment({ id, name, arguments: written }: ParsedCall): ToolCallFragment {
    const index = this.calls++;
    const callId = id ?? this.#format.newId?.(index) ?? `call-${randomUUID()}`;
    return { index, id: callId, type: "function", function: { name, arguments: written } };
  }

  /** Gives the first characters of the held text as text. */
  #give(pieces: CallPiece[], length: number): void {
    if (length === 0) return;
    pieces.push({ text: this.#held.slice(0, length) });
    this.#held = this.#held.slice(length);
    this.#atStart = false;
    this.#suspicious = false;
  }
}

const telling = 3;

function looksLikeMarker(text: string, markers: readonly string[]): boolean {
  return markers.some(
    (marker) => !/^\w+$/.test(marker) && text.includes(marker.slice(0, telling)) && markerStart(text, [marker]) === undefined,
  );
}
