// Functions that every template can call.
//
// Source: minijinja 2.24 functions.rs (range, dict, namespace, debug); raise_exception and strftime_now are Dynamo's.
import { Arguments } from "./arguments.ts";
import { refusal } from "./budget.ts";
import { prettyPrinted } from "./printing.ts";
import type { Operation, Render } from "./render.ts";
import { formatTime } from "./strftime.ts";
import { absent, entriesOf, IterableValue, KeywordArguments, kindOf, Namespace, ObjectValue, textOf, type Value } from "./values.ts";

/** A function as a value: it is only called; printed it shows the name that Rust has for it. */
export class FunctionValue extends ObjectValue {
  readonly kind = "plain object";
  readonly #name: string;
  readonly call: Operation;

  constructor(name: string, call: Operation) {
    super();
    this.#name = name;
    this.call = call;
  }
  override member(): typeof absent {
    return absent;
  }
  override memberNames(): readonly string[] {
    return [];
  }
  override print(): string {
    return this.#name;
  }
}

const rangeLengthMax = 100_000;

const range: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const [first, second, step] = [given.whole(), given.optionalWhole(), given.optionalWhole() ?? 1];
  given.end();
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (step === 0) throw refusal("cannot create range with step of 0");
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > rangeLengthMax) throw refusal("range has too many elements");
  budget.spend(length);
  return new IterableValue(Array.from({ length }, (_, index) => start + index * step));
};

const dict: Operation = (values, { budget }) => {
  const named = values.at(-1) instanceof KeywordArguments ? values.at(-1) : undefined;
  const given = new Arguments(named === undefined ? values : values.slice(0, -1), budget);
  const base = given.optionalValue();
  given.end();
  const entries = base === undefined ? [] : entriesOf(base);
  if (entries === undefined) throw refusal("dict() takes a map");
  return new Map([...entries, ...(entriesOf(named) ?? [])]);
};

const namespace: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const defaults = given.optionalValue() ?? null;
  given.end();
  const made = new Namespace();
  if (defaults === null) return made;
  const entries = entriesOf(defaults);
  if (entries === undefined) throw refusal(`expected object or keyword arguments, got ${kindOf(defaults)}`);
  for (const [key, value] of entries) {
    const name = textOf(key);
    if (name !== undefined) made.set(name, value);
  }
  return made;
};

const debug: Operation = (values, { budget }) => prettyPrinted(values.length === 1 ? values[0] : values, budget);

const raiseException: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const message = given.text();
  given.end();
  throw refusal(message);
};

const timeNow: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const format = given.exactText();
  given.end();
  return formatTime(new Date(), format);
};

function named(name: string, operation: Operation): [string, Value] {
  return [name, new FunctionValue(`minijinja::functions::builtins::${name}`, operation)];
}

export const functions: ReadonlyMap<string, Value> = new Map([
  named("range", range),
  named("dict", dict),
  named("debug", debug),
  named("namespace", namespace),
  ["raise_exception", new FunctionValue("raise_exception", raiseException)],
  ["strftime_now", new FunctionValue("strftime_now", timeNow)],
]);

export function callFunction(value: Value, values: readonly Value[], render: Render): Value {
  if (value instanceof FunctionValue) return value.call(values, render);
  throw refusal(`value of type ${kindOf(value)} is not callable`);
}
