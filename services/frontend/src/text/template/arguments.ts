// Reads the arguments of a filter, test, method or function, with minijinja's conversions.
//
//   text()        any value, printed the way `~` prints it; keyword arguments are refused
//   exactText()   text values only
//   optional…()   undefined for an argument that is missing, undefined or none
//   count()       an integer ≥ 0; booleans and whole floats pass
//
// Source: minijinja 2.24 value/argtypes.rs. A reader that asks for keywords takes them off the end; to any other they
// are one more argument, of kind map.
import type { Budget } from "./budget.ts";
import { refusal } from "./budget.ts";
import type { Integer } from "./numbers.ts";
import { displayed } from "./printing.ts";
import { exactInteger, KeywordArguments, kindOf, SafeText, textOf, type Value } from "./values.ts";

export class Arguments {
  readonly #values: readonly Value[];
  readonly #budget: Budget;
  #next = 0;

  constructor(values: readonly Value[], budget: Budget) {
    this.#values = values;
    this.#budget = budget;
  }

  /** Splits off the keyword arguments, if the call has any. */
  static withKeywords(values: readonly Value[], budget: Budget): { positional: Arguments; keywords: Keywords } {
    const last = values.at(-1);
    if (!(last instanceof KeywordArguments))
      return { positional: new Arguments(values, budget), keywords: new Keywords(new Map(), budget) };
    return { positional: new Arguments(values.slice(0, -1), budget), keywords: new Keywords(last.values, budget) };
  }

  /** The next argument, whatever it is. */
  value(): Value {
    if (this.#next >= this.#values.length) throw refusal("missing argument");
    return this.#values[this.#next++];
  }

  optionalValue(): Value {
    return this.#next < this.#values.length ? this.value() : undefined;
  }

  text(): string {
    return textFrom(this.value(), this.#budget);
  }

  optionalText(): string | undefined {
    return present(this.optionalValue(), (value) => textFrom(value, this.#budget));
  }

  exactText(): string {
    return exactTextFrom(this.value(), this.#budget);
  }

  optionalExactText(): string | undefined {
    return present(this.optionalValue(), (value) => exactTextFrom(value, this.#budget));
  }

  count(): number {
    return countFrom(this.value());
  }

  optionalCount(): number | undefined {
    return present(this.optionalValue(), countFrom);
  }

  whole(): number {
    return wholeFrom(this.value());
  }

  optionalWhole(): number | undefined {
    return present(this.optionalValue(), wholeFrom);
  }

  optionalFlag(): boolean | undefined {
    return present(this.optionalValue(), flagFrom);
  }

  rest(): readonly Value[] {
    const rest = this.#values.slice(this.#next);
    this.#next = this.#values.length;
    return rest;
  }

  /** @throws AppError `invalid_request` when arguments are left */
  end(): void {
    if (this.#next < this.#values.length) throw refusal("too many arguments");
  }
}

export class Keywords {
  readonly #values: ReadonlyMap<string, Value>;
  readonly #budget: Budget;
  readonly #used = new Set<string>();

  constructor(values: ReadonlyMap<string, Value>, budget: Budget) {
    this.#values = values;
    this.#budget = budget;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value, whatever it is; undefined when it was not given. */
  value(name: string): Value {
    this.#used.add(name);
    return this.#values.get(name);
  }

  text(name: string): string | undefined {
    return present(this.value(name), (value) => textFrom(value, this.#budget));
  }

  exactText(name: string): string | undefined {
    return present(this.value(name), (value) => exactTextFrom(value, this.#budget));
  }

  count(name: string): number | undefined {
    return present(this.value(name), countFrom);
  }

  flag(name: string): boolean | undefined {
    return present(this.value(name), flagFrom);
  }

  /** @throws AppError `invalid_request` when the call names something that nobody asked for */
  end(): void {
    for (const name of this.#values.keys()) {
      if (!this.#used.has(name)) throw refusal(`unknown keyword argument '${name}'`);
    }
  }
}

function present<T>(value: Value, read: (value: Value) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value);
}

function textFrom(value: Value, budget: Budget): string {
  if (value instanceof KeywordArguments) throw refusal("cannot convert kwargs to string");
  return read(displayed(value, budget), budget);
}

function exactTextFrom(value: Value, budget: Budget): string {
  const text = textOf(value);
  if (text === undefined) throw refusal("value is not a string");
  return read(text, budget);
}

function read(text: string, budget: Budget): string {
  budget.read(text.length);
  return text;
}

function wholeFrom(value: Value): number {
  const exact: Integer | undefined = exactInteger(value);
  if (typeof exact !== "number") throw refusal(`cannot convert ${kindOf(value)} to an integer`);
  return exact;
}

function countFrom(value: Value): number {
  const whole = wholeFrom(value);
  if (whole < 0) throw refusal("cannot convert a negative number to a count");
  return whole;
}

function flagFrom(value: Value): boolean {
  if (typeof value !== "boolean") throw refusal(`cannot convert ${kindOf(value)} to bool`);
  return value;
}

/** `text` marked safe if `source` is. */
export function keepSafety(source: Value, text: string): Value {
  return source instanceof SafeText ? new SafeText(text) : text;
}
