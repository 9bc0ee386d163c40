// One choice of an answer: the engine's tokens in, text out, and the moment where it ends.
//
//   item {token_ids: [9707, 11]}   → per token: stop id? → decode → stop string?   → one delta per item
//
//   ends by itself          the engine's finish reason; held text is released with it
//   ends by a stop string   text before it is given; later tokens of the item, and later items, are swallowed
//   ends by a stop id       the same; the id gives no text, but half a character before it comes out as U+FFFD
//
// Source: Dynamo 1.6.1 (backend.rs); evidence: golden frontend chat.stop*, item.*, text stop.json.
// I1  A delta counts tokens up to and including the one that ended the choice.
// I2  Items after the engine's own finish reason are still read (item.afterfin); after a stop of ours never.
// I3  Below `minTokens` no rule holds, and stop strings do not remember what passed.
import { AppError, type EngineOutput, openAiFinishReason } from "@mm-router/protocol";
import type { StopRules } from "../preprocess/sampling.ts";
import { type Detokenizer, StopJail, type TextModel } from "../text/index.ts";

export type FinishReason = "stop" | "length" | "content_filter" | "tool_calls";

/** What one engine item adds to one choice. */
export interface ChoiceDelta {
  readonly index: number;
  /** "" when the item completes no character. */
  readonly text: string;
  /** Tokens of the item that count (I1). */
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason | undefined;
  /** The stop string or the client's stop id that ended the choice, or what the engine says. */
  readonly stopReason: string | number | undefined;
  readonly output: EngineOutput;
}

export interface ChoiceOptions {
  readonly text: TextModel;
  readonly promptIds: Uint32Array;
  readonly skipSpecialTokens: boolean;
  readonly stops: StopRules;
}

/** Text and end of an item, as far as it was read. */
interface Reading {
  readonly text: string;
  readonly tokens: number;
  /** Set when a rule ended the choice. */
  readonly stop?: { readonly reason: string | number };
}

export class ChoiceStream {
  readonly #index: number;
  readonly #stops: StopRules;
  readonly #detokenizer: Detokenizer;
  readonly #jail: StopJail | undefined;
  #generated = 0;
  #stopped = false;
  #finished = false;

  constructor(index: number, { text, promptIds, skipSpecialTokens, stops }: ChoiceOptions) {
    this.#index = index;
    this.#stops = stops;
    this.#detokenizer = text.detokenizer({ promptIds, skipSpecialTokens });
    this.#jail = stops.strings.length > 0 ? new StopJail({ stops: stops.strings, includeStop: stops.includeStop }) : undefined;
  }

  /** A rule of the request ended the choice: the engine does not know yet. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Stopped, or finished by the engine. */
  get ended(): boolean {
    return this.#stopped || this.#finished;
  }

  /**
   * @returns undefined after a stop
   * @throws AppError `worker_error` when the engine's finish reason is an error
   */
  push(output: EngineOutput): ChoiceDelta | undefined {
    if (this.#stopped) return undefined;
    const finish = finishOf(output);
    const { text, tokens, stop } = this.#read(output, finish !== undefined);
    this.#stopped = stop !== undefined;
    this.#finished ||= finish !== undefined;
    return {
      index: this.#index,
      text,
      tokenIds: tokens === output.token_ids.length ? output.token_ids : output.token_ids.slice(0, tokens),
      finishReason: stop === undefined ? finish : "stop",
      stopReason: stop?.reason ?? engineStopReason(output),
      output,
    };
  }

  #read(output: EngineOutput, last: boolean): Reading {
    const ids = output.token_ids;
    if (typeof output.text === "string") return this.#readText(output.text, ids.length);
    if (this.#jail !== undefined || ids.some((id) => this.#stops.tokenIds.has(id))) return this.#readTokens(ids, last);
    this.#generated += ids.length;
    return { text: this.#detokenizer.push(ids, last), tokens: ids.length };
  }

  /** The engine's own text wins over its ids, and is nobody's to cut. */
  #readText(text: string, tokens: number): Reading {
    this.#generated += tokens;
    return { text: this.#release() + text, tokens };
  }

  #readTokens(ids: readonly number[], last: boolean): Reading {
    let text = "";
    for (const [at, id] of ids.entries()) {
      this.#generated++;
      if (this.#ruled && this.#stops.tokenIds.has(id)) return this.#endAtId(text, id, at + 1);
      const { text: passed, stopped } = this.#pass(this.#detokenizer.push([id], last && at === ids.length - 1));
      text += passed;
      if (stopped !== undefined) return { text, tokens: at + 1, stop: { reason: stopped } };
    }
    if (!last) return { text, tokens: ids.length };
    const tail = ids.length === 0 ? this.#pass(this.#detokenizer.push([], true)).text : "";
    return { text: text + tail + this.#release(), tokens: ids.length };
  }

  #endAtId(text: string, id: number, tokens: number): Reading {
    const tail = this.#pass(this.#detokenizer.push([], true)).text;
    return { text: text + tail + this.#release(), tokens, stop: { reason: id } };
  }

  /** Whether the token that was counted last is subject to the rules (I3). */
  get #ruled(): boolean {
    return this.#generated > this.#stops.minTokens;
  }

  #pass(piece: string): { readonly text: string; readonly stopped?: string } {
    if (piece === "" || this.#jail === undefined || !this.#ruled) return { text: piece };
    return this.#jail.push(piece);
  }

  /** Text that was held because it might have become a stop string. */
  #release(): string {
    return this.#jail?.flush() ?? "";
  }
}

function finishOf(output: EngineOutput): FinishReason | undefined {
  const reason = output.finish_reason;
  if (reason === undefined || reason === null) return undefined;
  if (typeof reason === "object") throw new AppError("worker_error", reason.error);
  return openAiFinishReason(reason);
}

function engineStopReason({ stop_reason: reason }: EngineOutput): string | number | undefined {
  return typeof reason === "string" || typeof reason === "number" ? reason : undefined;
}
