// Text as it is written: the prompt, or what a block captures.
import type { Budget } from "./budget.ts";

export class Output {
  text = "";
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  write(text: string): undefined {
    this.#budget.textLength(this.text.length + text.length);
    this.text += text;
    return undefined;
  }
}
