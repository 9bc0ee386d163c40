// The variable `loop`.
//
// Source: minijinja 2.24 vm/loop_object.rs.
import { type Budget, refusal } from "./budget.ts";
import { areEqual } from "./comparison.ts";
import type { Frame } from "./frame.ts";
import { absent, IterableValue, ObjectValue, textOf, type Value } from "./values.ts";

const memberNames = ["index0", "index", "length", "revindex", "revindex0", "first", "last", "depth", "depth0", "previtem", "nextitem"];

export interface LoopOptions {
  /** How many recursive loops it stands in. */
  readonly depth: number;
  /** False while a loop's condition is tried: `loop` is then the outer one. */
  readonly isVisible: boolean;
  /** Renders the loop again over other items: `loop(…)` of a recursive loop. */
  readonly recurse?: (items: Value, from: Frame) => string;
}

export class LoopValue extends ObjectValue {
  readonly kind = "map";
  readonly isVisible: boolean;
  readonly depth: number;
  readonly recurse: LoopOptions["recurse"];
  readonly #items: readonly Value[];
  readonly #length: number | undefined;
  #index = 0;
  #lastChanged: readonly Value[] | undefined;

  /** @param iterated what the loop runs over: characters have no length */
  constructor(items: readonly Value[], iterated: Value, options: LoopOptions) {
    super();
    this.#items = items;
    this.#length = isSized(iterated) || items.length === 0 ? items.length : undefined;
    this.depth = options.depth;
    this.isVisible = options.isVisible;
    this.recurse = options.recurse;
  }

  turn(index: number): void {
    this.#index = index;
  }

  override member(name: string): Value | typeof absent {
    const [index, length] = [this.#index, this.#length];
    switch (name) {
      case "index0":
        return index;
      case "index":
        return index + 1;
      case "length":
        return length;
      case "revindex":
        return length === undefined ? undefined : length - index;
      case "revindex0":
        return length === undefined ? undefined : length - index - 1;
      case "first":
        return index === 0;
      case "last":
        return index + 1 === length;
      case "depth":
        return this.depth + 1;
      case "depth0":
        return this.depth;
      case "previtem":
        return this.#items[index - 1];
      case "nextitem":
        return this.#items[index + 1];
      default:
        return absent;
    }
  }

  override memberNames(): readonly string[] {
    return memberNames;
  }

  override print(): string {
    return `<loop ${this.#index}/${this.#length ?? "?"}>`;
  }

  /** `loop.changed(…)`, `loop.cycle(…)`; absent for any other name. */
  callMethod(name: string, values: readonly Value[], budget: Budget): Value | typeof absent {
    if (name === "changed") return this.#hasChanged(values, budget);
    if (name !== "cycle") return absent;
    if (values.length === 0) throw refusal("cycle() takes at least one argument");
    return values[this.#index % values.length];
  }

  #hasChanged(values: readonly Value[], budget: Budget): boolean {
    const last = this.#lastChanged;
    if (last !== undefined && areEqual(last, values, budget)) return false;
    this.#lastChanged = values;
    return true;
  }
}

function isSized(iterated: Value): boolean {
  return iterated instanceof IterableValue ? iterated.sized : textOf(iterated) === undefined;
}
