// How one family of models writes the calls of functions into its text.
//
//   text   Let me see. <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call> done
//          └─ answer ─┘└────────────────────── block ──────────────────────────┘└ answer
//
// A format says where a block may begin, where it ends, and which calls it holds. call-splitter.ts feeds it a stream.
import type { ChatTool } from "../../preprocess/chat-request.ts";

export interface ParsedCall {
  readonly name: string;
  /** JSON text of an object. */
  readonly arguments: string;
  /** The model's own name of the call; else it gets one of ours. */
  readonly id?: string;
}

/** Where a block begins. */
export interface BlockStart {
  readonly at: number;
  /** Whether it is one; else the text may still become one. */
  readonly certain: boolean;
}

/** What a block that stands at the start of a text is, as far as the text goes. */
export type Block =
  | { readonly kind: "calls"; readonly calls: readonly ParsedCall[] /** of the block */; readonly length: number }
  | { readonly kind: "open" }
  /** No calls, and more text will not change that. */
  | { readonly kind: "broken"; readonly length: number };

export interface CallFormat {
  /** @param atStart the text is the beginning of the answer */
  blockStart(text: string, atStart: boolean): BlockStart | undefined;
  /**
   * @param text begins with a block
   * @param last nothing follows: the result is not `open`
   */
  readBlock(text: string, last: boolean, tools: readonly ChatTool[]): Block;
  /** What begins a block: tokenizers may hold it for a special token, which must not be hidden. */
  readonly markers: readonly string[];
  /** The markers are special tokens in every tokenizer of these models. */
  readonly specialMarkers?: boolean;
  /** How calls without an id of their own are called; `call-<uuid>` by default. */
  readonly newId?: (index: number) => string;
}

/** The first place where one of the markers stands, or where the text ends within one. */
export function markerStart(text: string, markers: readonly string[]): BlockStart | undefined {
  const whole = markers.map((marker) => text.indexOf(marker)).filter((at) => at >= 0);
  if (whole.length > 0) return { at: Math.min(...whole), certain: true };
  const held = Math.max(...markers.map((marker) => heldLength(text, marker)));
  return held === 0 ? undefined : { at: text.length - held, certain: false };
}

/** Length of the longest end of `text` that a marker begins with. */
export function heldLength(text: string, marker: string): number {
  for (let length = Math.min(text.length, marker.length - 1); length > 0; length--) {
    if (marker.startsWith(text.slice(text.length - length))) return length;
  }
  return 0;
}
