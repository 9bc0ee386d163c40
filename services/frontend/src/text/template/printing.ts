// Values as text.
//
//               "a"    none   1e16                  [1e16, "a"]
//   printed     a      None   1e+16                 [1e16, "a"]     {{ x }}, | string
//   displayed   a      None   10000000000000000.0   [1e16, "a"]     ~, join
//   debugged    "a"    None   1e16                  [1e16, "a"]     inside lists and maps
//
// Source: Display and Debug of minijinja 2.24 (value/mod.rs), Debug of Rust's str; seen running in Dynamo 1.6.1.
import { JsonFloat } from "@mm-router/protocol";
import type { Budget } from "./budget.ts";
import { debugFloat, decimalFloat, pythonFloat } from "./numbers.ts";
import { entriesOf, IterableValue, kindOf, listItemsOf, ObjectValue, textOf, type Value } from "./values.ts";

export function printed(value: Value, budget: Budget): string {
  return value instanceof JsonFloat ? pythonFloat(value.value) : displayed(value, budget);
}

export function displayed(value: Value, budget: Budget): string {
  const text = textOf(value);
  if (text !== undefined) return text;
  if (value === undefined) return "";
  return value instanceof JsonFloat ? decimalFloat(value.value) : debugged(value, budget);
}

export function debugged(value: Value, budget: Budget): string {
  return budget.text(new DebugPrinter(budget, false).print(value));
}

/** Over several lines, as `{:#?}` of Rust: the filter `pprint`. */
export function prettyPrinted(value: Value, budget: Budget): string {
  return budget.text(new DebugPrinter(budget, true).print(value));
}

class DebugPrinter {
  readonly #budget: Budget;
  readonly #pretty: boolean;
  #margin = "";
  #length = 0;

  constructor(budget: Budget, pretty: boolean) {
    this.#budget = budget;
    this.#pretty = pretty;
  }

  print(value: Value): string {
    const own = scalarText(value);
    if (own === undefined) return this.#container(value);
    this.#length += own.length;
    this.#budget.textLength(this.#length);
    return own;
  }

  #container(value: Value): string {
    if (value instanceof IterableValue && !value.sized) return "<iterator>";
    const items = listItemsOf(value);
    if (items !== undefined) return this.#enclosed("[", items.length, (index) => this.print(items[index]), "]");
    const entries = entriesOf(value) ?? [];
    return this.#enclosed("{", entries.length, (index) => this.#entry(entries[index] ?? [undefined, undefined]), "}");
  }

  #entry([key, value]: readonly [Value, Value]): string {
    return `${this.print(key)}: ${this.print(value)}`;
  }

  #enclosed(open: string, count: number, part: (index: number) => string, close: string): string {
    if (count === 0) return open + close;
    this.#budget.spend(count);
    return this.#budget.nested(() => {
      const margin = this.#margin;
      if (this.#pretty) this.#margin += "    ";
      const parts: string[] = [];
      for (let index = 0; index < count; index++) parts.push(part(index));
      const text = this.#pretty ? parts.map((line) => `\n${this.#margin}${line},`).join("") + `\n${margin}` : parts.join(", ");
      this.#margin = margin;
      return open + text + close;
    });
  }
}

/** Text of what has no parts; undefined for lists and maps. */
function scalarText(value: Value): string | undefined {
  const text = textOf(value);
  if (text !== undefined) return quoted(text);
  if (value instanceof JsonFloat) return debugFloat(value.value);
  if (value instanceof ObjectValue) return value.print();
  switch (kindOf(value)) {
    case "undefined":
      return "undefined";
    case "none":
      return "None";
    case "bool":
      return value === true ? "True" : "False";
    case "number":
      return String(value);
    default:
      return undefined;
  }
}

const escapes = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\0", "\\0"],
]);

/** What Rust's Debug does not show as it is: control, format, private and unassigned characters, spaces, combining marks. */
const unprintable = /["\\]|[\p{C}\p{Z}\p{Grapheme_Extend}]/gu;

function quoted(text: string): string {
  const shown = text.replace(unprintable, (character) => {
    if (character === " ") return character;
    return escapes.get(character) ?? `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
  return `"${shown}"`;
}
