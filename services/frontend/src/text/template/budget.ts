// What one rendering may cost. A template comes from a model's files and its input from any client: neither may hang
// the process or fill its memory, however odd.
//
// Source: limits are ours; minijinja 2.24 (Dynamo 1.6.1) bounds only frames (500), ranges (100 000) and repeated
// strings (100 MB). Steps are counted where work multiplies: loop turns, items made or compared, calls.
import { AppError } from "@mm-router/protocol";

export interface RenderLimits {
  /** Loop turns, list items and calls; 10 million take about a second. */
  readonly stepsMax: number;
  /** UTF-16 units of any text a template makes, and of its output. */
  readonly textMax: number;
  /** Loops and macros inside each other; minijinja's recursion limit. */
  readonly depthMax: number;
}

export const defaultRenderLimits: RenderLimits = { stepsMax: 10_000_000, textMax: 64 * 1024 * 1024, depthMax: 500 };

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

  /** The text itself; checked before anything is built on it. */
  text(text: string): string {
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
