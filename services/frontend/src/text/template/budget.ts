// What one rendering may cost. A template comes from a model's files and its input from any client: neither may hang
// the process or fill its memory, however odd.
//
// Source: limits are ours; minijinja 2.24 (Dynamo 1.6.1) bounds only frames (500), ranges (100 000) and repeated
// strings (100 MB). Steps are counted where work multiplies: statements, operations, items, calls, and text that is gone
// over. Joining and repeating texts is free: the engine puts that off until somebody reads them.
import { AppError } from "@mm-router/protocol";

export interface RenderLimits {
  /** Statements, operations, list items, calls; 5 million take about half a second. */
  readonly stepsMax: number;
  /** UTF-16 units of any text a template makes, and of its output. */
  readonly textMax: number;
  /** Loops and macros inside each other; minijinja's recursion limit. */
  readonly depthMax: number;
}

export const defaultRenderLimits: RenderLimits = { stepsMax: 5_000_000, textMax: 64 * 1024 * 1024, depthMax: 500 };

/** Characters gone over in one step: some nanoseconds each. */
const charactersPerStep = 16;

/** Lists in lists, when they are printed or compared. */
const nestingMax = 256;

/** An error of the template or of what it was given; the client sees the sentence (frontend.md §18.2 no. 1). */
export function refusal(message: string): AppError {
  return new AppError("invalid_request", message);
}

export class Budget {
  readonly limits: RenderLimits;
  #steps = 0;
  #nesting = 0;

  constructor(limits: RenderLimits = defaultRenderLimits) {
    this.limits = limits;
  }

  /** @throws AppError `invalid_request` when all steps are spent */
  spend(steps = 1): void {
    this.#steps += steps;
    if (this.#steps > this.limits.stepsMax) throw refusal(`template takes more than ${this.limits.stepsMax} steps`);
  }

  /** Paid for by whoever searches, compares or changes a text of this length. */
  read(length: number): void {
    this.spend(Math.floor(length / charactersPerStep));
  }

  /** The text itself, just written; checked before anything is built on it. */
  text(text: string): string {
    this.read(text.length);
    return this.joined(text);
  }

  /** The same for texts put together, which is free. */
  joined(text: string): string {
    this.textLength(text.length);
    return text;
  }

  /** Asked before a text of known length is made. */
  textLength(length: number): void {
    if (length > this.limits.textMax) throw refusal(`template makes a text of more than ${this.limits.textMax} characters`);
  }

  /** Runs `visit` one level deeper into a nested value. */
  nested<T>(visit: () => T): T {
    if (this.#nesting >= nestingMax) throw refusal(`value is nested deeper than ${nestingMax}`);
    this.#nesting++;
    try {
      return visit();
    } finally {
      this.#nesting--;
    }
  }
}
