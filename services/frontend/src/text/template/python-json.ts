// The filter `tojson`: json.dumps(value, ensure_ascii=False) of Python.
//
//   {"b": 1, "a": [1.0, 1e-07, null]}      indent=n: one member a line, as Python writes it
//
// Source: Dynamo ≥ 1.4 (1.0 wrote compact, sorted, HTML-escaped JSON). Non-finite floats are null, not Python's NaN;
// keys that are numbers or booleans become text; other keys are an error. Seen running in 1.6.1.
import { JsonFloat } from "@mm-router/protocol";
import { type Budget, refusal } from "./budget.ts";
import { pythonFloat } from "./numbers.ts";
import { debugged } from "./printing.ts";
import { entriesOf, isInteger, kindOf, listItemsOf, textOf, type Value } from "./values.ts";

/** @param indent spaces per level; undefined: one line */
export function pythonJson(value: Value, indent: number | undefined, budget: Budget): string {
  return budget.text(new JsonWriter(indent, budget).write(value, "\n"));
}

class JsonWriter {
  readonly #indent: string | undefined;
  readonly #budget: Budget;
  #length = 0;

  constructor(indent: number | undefined, budget: Budget) {
    if (indent !== undefined) budget.textLength(indent);
    this.#indent = indent === undefined ? undefined : " ".repeat(indent);
    this.#budget = budget;
  }

  /** @param margin line break and spaces of the level that `value` stands on */
  write(value: Value, margin: string): string {
    const items = listItemsOf(value);
    if (items !== undefined) return this.#enclosed("[", items, (item, inner) => this.write(item, inner), "]", margin);
    const entries = entriesOf(value);
    if (entries === undefined) return this.#counted(scalarJson(value, this.#budget));
    return this.#enclosed(
      "{",
      entries,
      ([key, member], inner) => `${this.#counted(keyJson(key))}: ${this.write(member, inner)}`,
      "}",
      margin,
    );
  }

  #enclosed<T>(open: string, parts: readonly T[], write: (part: T, margin: string) => string, close: string, margin: string): string {
    if (parts.length === 0) return open + close;
    this.#budget.spend(parts.length);
    const inner = this.#indent === undefined ? "" : margin + this.#indent;
    const outer = this.#indent === undefined ? "" : margin;
    this.#counted(inner, parts.length);
    return this.#budget.nested(() => {
      const written = parts.map((part) => inner + write(part, inner));
      return open + written.join(this.#indent === undefined ? ", " : ",") + outer + close;
    });
  }

  #counted(text: string, times = 1): string {
    this.#length += text.length * times;
    this.#budget.textLength(this.#length);
    return text;
  }
}

function scalarJson(value: Value, budget: Budget): string {
  const text = textOf(value);
  if (text !== undefined) return quoted(text);
  if (value === undefined || value === null) return "null";
  if (value instanceof JsonFloat) return Number.isFinite(value.value) ? pythonFloat(value.value) : "null";
  return typeof value === "object" ? quoted(debugged(value, budget)) : String(value);
}

function keyJson(key: Value): string {
  const text = textOf(key);
  if (text !== undefined) return quoted(text);
  if (isInteger(key) || typeof key === "boolean") return `"${key}"`;
  if (key instanceof JsonFloat && Number.isFinite(key.value)) return `"${pythonFloat(key.value)}"`;
  throw refusal(`cannot serialize to JSON: a key is of kind ${kindOf(key)}`);
}

const escapes = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes exactly these
const escaped = /["\\\u0000-\u001f]/g;

function quoted(text: string): string {
  return `"${text.replace(escaped, (character) => escapes.get(character) ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
}
