// The operators: arithmetic, text and list sums, slices, containment.
//
// Source: minijinja 2.24 value/ops.rs. Integers are exact within i128; `/` always gives a float; `//` and `%` of
// integers are Euclidean (-7 // 2 = -4, -7 % -3 = 2). Text adds to text only; lists and iterables add to an iterable.
import { JsonFloat } from "@mm-router/protocol";
import { type Budget, refusal } from "./budget.ts";
import { codePointsOf } from "./code-points.ts";
import { areEqual, compareValues } from "./comparison.ts";
import { float, type Integer, integer } from "./numbers.ts";
import { displayed } from "./printing.ts";
import {
  absent,
  exactInteger,
  IterableValue,
  isInteger,
  kindOf,
  lengthOf,
  listItemsOf,
  mapMember,
  memberOf,
  ObjectValue,
  textOf,
  type Value,
} from "./values.ts";

export type ComparisonOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**";

export function arithmetic(operator: ArithmeticOperator, left: Value, right: Value, budget: Budget): Value {
  budget.spend();
  switch (operator) {
    case "+":
      return add(left, right, budget);
    case "*":
      return multiply(left, right, budget);
    case "/":
      return divide(left, right);
    default:
      return calculate(operator, left, right);
  }
}

export function add(left: Value, right: Value, budget: Budget): Value {
  const text = textOf(left);
  const more = textOf(right);
  if (text !== undefined && more !== undefined) return budget.joined(text + more);
  const items = listItemsOf(left);
  const others = listItemsOf(right);
  if (items === undefined || others === undefined) return calculate("+", left, right);
  budget.spend(items.length + others.length);
  return new IterableValue([...items, ...others], lengthOf(left) !== undefined && lengthOf(right) !== undefined);
}

function multiply(left: Value, right: Value, budget: Budget): Value {
  if (textOf(left) !== undefined) return repeatText(textOf(left) ?? "", right, budget);
  if (textOf(right) !== undefined) return repeatText(textOf(right) ?? "", left, budget);
  const items = listItemsOf(left) ?? listItemsOf(right);
  if (items === undefined) return calculate("*", left, right);
  const [list, times] = listItemsOf(left) === undefined ? [right, left] : [left, right];
  return repeatItems(list, items, times, budget);
}

function repeatText(text: string, times: Value, budget: Budget): Value {
  const count = exactInteger(times);
  if (typeof count !== "number" || count < 0) throw refusal("strings can only be multiplied with integers");
  budget.textLength(text.length * count);
  return text.repeat(count);
}

function repeatItems(list: Value, items: readonly Value[], times: Value, budget: Budget): Value {
  const count = exactInteger(times);
  if (typeof count !== "number" || count < 0) throw refusal("sequences and iterables can only be multiplied with integers");
  if (lengthOf(list) === undefined) throw refusal("cannot repeat unsized iterables");
  budget.spend(items.length * count);
  return new IterableValue(Array.from({ length: count }, () => items).flat());
}

function divide(left: Value, right: Value): Value {
  const dividend = asFloat(left);
  const divisor = asFloat(right);
  if (dividend === undefined || divisor === undefined) throw impossible("/", left, right);
  return float(dividend / divisor);
}

function calculate(operator: Exclude<ArithmeticOperator, "/">, left: Value, right: Value): Value {
  if (left instanceof JsonFloat || right instanceof JsonFloat) {
    const a = asFloat(left);
    const b = asFloat(right);
    if (a === undefined || b === undefined) throw impossible(operator, left, right);
    return float(floatResult(operator, a, b));
  }
  const a = wholeNumber(left);
  const b = wholeNumber(right);
  if (a === undefined || b === undefined) throw impossible(operator, left, right);
  return integerResult(operator, a, b);
}

function integerResult(operator: Exclude<ArithmeticOperator, "/">, a: Integer, b: Integer): Integer {
  if (typeof a === "number" && typeof b === "number") {
    const quick = quickResult(operator, a, b);
    if (Number.isSafeInteger(quick)) return quick + 0;
  }
  return integer(exactResult(operator, BigInt(a), BigInt(b)));
}

/** The result in doubles, NaN where bigint has to decide. */
function quickResult(operator: Exclude<ArithmeticOperator, "/">, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    default:
      return Number.NaN;
  }
}

function exactResult(operator: Exclude<ArithmeticOperator, "/">, a: bigint, b: bigint): bigint {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "%":
      return euclidean(a, b).remainder;
    case "//":
      return euclidean(a, b).quotient;
    case "**":
      return power(a, b);
  }
}

/** Division whose remainder is never negative. */
function euclidean(a: bigint, b: bigint): { quotient: bigint; remainder: bigint } {
  if (b === 0n) throw refusal("division by zero");
  const remainder = a % b;
  if (remainder >= 0n) return { quotient: a / b, remainder };
  const size = b < 0n ? -b : b;
  return { quotient: a / b - (b < 0n ? -1n : 1n), remainder: remainder + size };
}

function power(base: bigint, exponent: bigint): bigint {
  // No i128 but 0, 1 and -1 has a power of more than 127.
  const small = base >= -1n && base <= 1n;
  if (exponent < 0n || exponent > 0xffff_ffffn || (exponent > 127n && !small)) throw refusal(`unable to calculate ${base} ** ${exponent}`);
  if (base === -1n) return exponent % 2n === 0n ? 1n : -1n;
  return small && exponent > 0n ? base : base ** exponent;
}

function floatResult(operator: Exclude<ArithmeticOperator, "/">, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "%":
      return a % b;
    case "//":
      return euclideanQuotient(a, b);
    case "**":
      return a ** b;
  }
}

function euclideanQuotient(a: number, b: number): number {
  const quotient = Math.trunc(a / b);
  if (a % b >= 0 || Number.isNaN(a % b)) return quotient;
  return b > 0 ? quotient - 1 : quotient + 1;
}

export function negated(value: Value): Value {
  if (value instanceof JsonFloat) return float(-value.value);
  if (!isInteger(value)) throw refusal(`cannot negate a value of kind ${kindOf(value)}`);
  return integer(-BigInt(value));
}

function wholeNumber(value: Value): Integer | undefined {
  return value instanceof JsonFloat ? undefined : exactInteger(value);
}

export function asFloat(value: Value): number | undefined {
  if (value instanceof JsonFloat) return value.value;
  if (typeof value === "boolean") return Number(value);
  return isInteger(value) ? Number(value) : undefined;
}

function impossible(operator: string, left: Value, right: Value): Error {
  return refusal(`tried to use ${operator} operator on unsupported types ${kindOf(left)} and ${kindOf(right)}`);
}

export function compared(operator: ComparisonOperator, left: Value, right: Value, budget: Budget): boolean {
  budget.spend();
  switch (operator) {
    case "==":
      return areEqual(left, right, budget);
    case "!=":
      return !areEqual(left, right, budget);
    case "in":
      return contains(right, left, budget);
    case "not in":
      return !contains(right, left, budget);
    default:
      return isOrdered(operator, compareValues(left, right, budget));
  }
}

function isOrdered(operator: "<" | "<=" | ">" | ">=", order: number): boolean {
  if (order === 0) return operator === "<=" || operator === ">=";
  return order < 0 === operator.startsWith("<");
}

/** `left ~ right` */
export function concatenated(left: Value, right: Value, budget: Budget): string {
  return budget.joined(displayed(left, budget) + displayed(right, budget));
}

/** `value in container` */
export function contains(container: Value, value: Value, budget: Budget): boolean {
  if (container === undefined) return false;
  const text = textOf(container);
  if (text !== undefined) {
    budget.read(text.length);
    return text.includes(displayed(value, budget));
  }
  const items = listItemsOf(container);
  if (items !== undefined) {
    budget.spend(items.length);
    return items.some((item) => areEqual(item, value, budget));
  }
  if (container instanceof Map) return mapMember(container, value) !== absent;
  if (container instanceof ObjectValue) return memberOf(container, textOf(value) ?? "") !== absent;
  throw refusal(`cannot perform a containment check on a value of kind ${kindOf(container)}`);
}

/** `value[start:stop:step]`; a bound that is none or left out is open. */
export function sliced(value: Value, start: Value, stop: Value, step: Value, budget: Budget): Value {
  const bounds = { start: bound(start), stop: bound(stop), step: bound(step) ?? 1 };
  if (bounds.step === 0) throw refusal("cannot slice by step size of 0");
  if (value === undefined || value === null) return [];
  const text = textOf(value);
  if (text !== undefined) {
    budget.spend(text.length);
    const characters = codePointsOf(text);
    return slicedItems(characters, characters.length, bounds).join("");
  }
  const items = listItemsOf(value);
  if (items === undefined) throw refusal(`value of type ${kindOf(value)} cannot be sliced`);
  budget.spend(items.length);
  const length = lengthOf(value);
  return new IterableValue(slicedItems(items, length ?? 0, bounds), length !== undefined);
}

interface Bounds {
  readonly start: number | undefined;
  readonly stop: number | undefined;
  readonly step: number;
}

function bound(value: Value): number | undefined {
  if (value === undefined || value === null) return undefined;
  const exact = exactInteger(value);
  if (exact === undefined) throw refusal(`cannot convert ${kindOf(value)} to i64`);
  return Number(exact);
}

function slicedItems<T>(items: readonly T[], length: number, bounds: Bounds): T[] {
  if (bounds.step < 0) return slicedBackwards(items, bounds);
  const start = fromEnd(bounds.start ?? 0, length);
  const stop = fromEnd(bounds.stop ?? length, length);
  const taken = items.slice(start, Math.max(start, stop));
  return bounds.step === 1 ? taken : taken.filter((_, index) => index % bounds.step === 0);
}

/** minijinja takes a `stop` of 0 for an open one: [1, 2, 3][2:0:-1] has three items. */
function slicedBackwards<T>(items: readonly T[], bounds: Bounds): T[] {
  const last = items.length - 1;
  const stride = -bounds.step;
  const start = Math.min(fromEnd(bounds.start ?? last, items.length), last);
  const stop = fromEnd(bounds.stop ?? 0, items.length);
  const taken: T[] = [];
  for (let index = start; stop === 0 ? index >= 0 : index > stop; index -= stride) taken.push(items[index] as T);
  return taken;
}

function fromEnd(index: number, length: number): number {
  return index < 0 ? Math.max(0, length + index) : index;
}
