// One choice's text, cut into what the model thinks and what it answers.
//
//   push("<think>a</th")   → reasoning "a"        "</th" is held
//   push("ink>b")          → content "b"
//
// Tags are dropped, white space stays; several blocks are one; an end tag that ends nothing is dropped; without an end tag all is
// reasoning. Source: Dynamo 1.6.1, seen running; evidence: golden frontend reason.*, tool.think.*, tool.r1.*.
import { heldLength } from "../calls/call-format.ts";

export interface ThoughtTags {
  readonly begin: string;
  readonly end: string;
  /** The model thinks before it says anything: its template wrote the first tag. */
  readonly startsInside: boolean;
}

export interface SplitThought {
  readonly reasoning: string;
  readonly content: string;
  /** The tokens behind this text count as reasoning: they gave some, or belong to the tag that ends it. */
  readonly thinks: boolean;
}

export class ThoughtSplitter {
  readonly #tags: ThoughtTags;
  #inside: boolean;
  /** Reasoning was seen to begin, by a tag or by text. */
  #begun = false;
  #held = "";

  constructor(tags: ThoughtTags) {
    this.#tags = tags;
    this.#inside = tags.startsInside;
  }

  /** @param last nothing follows */
  push(text: string, last: boolean): SplitThought {
    const wasThinking = this.#inside && this.#begun;
    const out = { reasoning: "", content: "" };
    let rest = this.#held + text;
    for (let tag = this.#nextTag(rest); tag !== undefined; tag = this.#nextTag(rest)) {
      this.#give(out, rest.slice(0, tag.at));
      rest = rest.slice(tag.at + tag.text.length);
      this.#inside = tag.text === this.#tags.begin;
      this.#begun ||= this.#inside;
    }
    const held = last ? 0 : Math.max(heldLength(rest, this.#tags.begin), heldLength(rest, this.#tags.end));
    this.#give(out, rest.slice(0, rest.length - held));
    this.#held = rest.slice(rest.length - held);
    return { ...out, thinks: out.reasoning !== "" || (out.content === "" && wasThinking) };
  }

  #nextTag(text: string): { readonly at: number; readonly text: string } | undefined {
    const found = [this.#tags.begin, this.#tags.end].map((tag) => ({ at: text.indexOf(tag), text: tag })).filter(({ at }) => at >= 0);
    return found.toSorted((a, b) => a.at - b.at)[0];
  }

  #give(out: { reasoning: string; content: string }, text: string): void {
    if (text === "") return;
    out[this.#inside ? "reasoning" : "content"] += text;
    this.#begun ||= this.#inside;
  }
}
