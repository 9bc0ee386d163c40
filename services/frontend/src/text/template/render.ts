// What one rendering carries with it, and how a value goes into the output.
import type { Budget } from "./budget.ts";
import type { Frame } from "./frame.ts";
import { printed } from "./printing.ts";
import { kindOf, SafeText, type Value } from "./values.ts";

/** A filter, test, method or function: gets its operand and arguments as one list. */
export type Operation = (values: readonly Value[], render: Render) => Value;

export interface Render {
  readonly budget: Budget;
  readonly filters: ReadonlyMap<string, Operation>;
  readonly tests: ReadonlyMap<string, Operation>;
  /** Set by `{% autoescape %}`; chat templates start without. */
  escapes: boolean;
  /** The text of `{% block name %}`. */
  block(name: string, frame: Frame): Value;
}

/** The text that `{{ value }}` writes. */
export function emitted(value: Value, render: Render): string {
  if (value instanceof SafeText) return value.text;
  const text = printed(value, render.budget);
  return render.escapes && !isPlain(value) ? htmlEscaped(text, render.budget) : text;
}

function isPlain(value: Value): boolean {
  return ["undefined", "none", "bool", "number"].includes(kindOf(value));
}

const entities: Readonly<Record<string, string>> = { "<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;", "'": "&#x27;", "/": "&#x2f;" };

export function htmlEscaped(text: string, budget: Budget): string {
  budget.spend(text.length); // all of it may have to be replaced
  return budget.text(text.replace(/[<>&"'/]/g, (character) => entities[character] ?? character));
}
