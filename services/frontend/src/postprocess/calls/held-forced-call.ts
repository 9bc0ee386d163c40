// The answer to a forced tool choice, told at its end: what clients of Dynamo ≤ 1.4 were used to
// (`DYN_ENABLE_GUIDED_TOOL_STREAMING=0`). All calls come in one piece; an answer that was cut comes as text.
//
// Evidence: golden frontend variants (guided_stream_off).
import type { SplitText, TextSplitter } from "./call-splitter.ts";
import { ForcedCall } from "./forced-call.ts";

export class HeldForcedCall implements TextSplitter {
  readonly #forced: ForcedCall;
  #held = "";

  /** As those of ForcedCall. */
  constructor(name: string | undefined, otherwise: TextSplitter | undefined) {
    this.#forced = new ForcedCall(name, otherwise);
  }

  get calls(): number {
    return this.#forced.complete ? this.#forced.calls : 0;
  }

  push(text: string, last: boolean): SplitText {
    this.#held += text;
    if (!last) return { pieces: [], held: true };
    const { pieces } = this.#forced.push(this.#held, true);
    if (!this.#forced.complete) return { pieces: [{ text: this.#held }], held: false };
    const calls = pieces.flatMap((piece) => piece.calls ?? []);
    return { pieces: calls.length > 0 ? [{ calls }] : pieces, held: false };
  }
}
