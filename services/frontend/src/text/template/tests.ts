// The tests after `is`.
//
// Source: minijinja 2.24 tests.rs, defaults.rs.
import { Arguments } from "./arguments.ts";
import { refusal } from "./budget.ts";
import { areEqual, compareValues } from "./comparison.ts";
import { asFloat, contains } from "./operators.ts";
import type { Operation, Render } from "./render.ts";
import { exactInteger, isInteger, itemsOf, kindOf, SafeText, type Value } from "./values.ts";
import { JsonFloat } from "@mm-router/protocol";

function onValue(test: (value: Value, render: Render) => boolean): Operation {
  return (values, render) => {
    const given = new Arguments(values, render.budget);
    const value = given.value();
    given.end();
    return test(value, render);
  };
}

function onTwo(test: (value: Value, other: Value, render: Render) => boolean): Operation {
  return (values, render) => {
    const given = new Arguments(values, render.budget);
    const [value, other] = [given.value(), given.value()];
    given.end();
    return test(value, other, render);
  };
}

function onTexts(test: (text: string, other: string) => boolean): Operation {
  return (values, render) => {
    const given = new Arguments(values, render.budget);
    const [text, other] = [given.text(), given.text()];
    given.end();
    return test(text, other);
  };
}

function onExactText(test: (text: string, render: Render) => boolean): Operation {
  return (values, render) => {
    const given = new Arguments(values, render.budget);
    const text = given.exactText();
    given.end();
    return test(text, render);
  };
}

function hasParity(value: Value, parity: bigint): boolean {
  const exact = exactInteger(value);
  return exact !== undefined && (BigInt(exact) & 1n) === parity;
}

function isDivisible(value: Value, divisor: Value): boolean {
  if (value instanceof JsonFloat || divisor instanceof JsonFloat) return (asFloat(value) ?? Number.NaN) % (asFloat(divisor) ?? 0) === 0;
  const [a, b] = [exactInteger(value), exactInteger(divisor)];
  if (a === undefined || b === undefined) return false;
  if (BigInt(b) === 0n) throw refusal("division by zero");
  return BigInt(a) % BigInt(b) === 0n;
}

function isContained(value: Value, container: Value, render: Render): boolean {
  const searchable = !["none", "bool", "number"].includes(kindOf(container));
  return searchable && contains(container, value, render.budget);
}

function isSame(value: Value, other: Value, render: Render): boolean {
  if (isObject(value) || isObject(other)) return value === other;
  return kindOf(value) === kindOf(other) && isInteger(value) === isInteger(other) && areEqual(value, other, render.budget);
}

function isObject(value: Value): boolean {
  return typeof value === "object" && value !== null && !(value instanceof JsonFloat) && !(value instanceof SafeText);
}

const isSafe = onValue((value) => value instanceof SafeText);
const equal = onTwo((value, other, { budget }) => areEqual(value, other, budget));
const unequal = onTwo((value, other, { budget }) => !areEqual(value, other, budget));
const less = onTwo((value, other, { budget }) => compareValues(value, other, budget) < 0);
const lessOrEqual = onTwo((value, other, { budget }) => compareValues(value, other, budget) <= 0);
const greater = onTwo((value, other, { budget }) => compareValues(value, other, budget) > 0);
const greaterOrEqual = onTwo((value, other, { budget }) => compareValues(value, other, budget) >= 0);

function ofKind(kind: ReturnType<typeof kindOf>): Operation {
  return onValue((value) => kindOf(value) === kind);
}

export const tests: ReadonlyMap<string, Operation> = new Map([
  ["undefined", onValue((value) => value === undefined)],
  ["defined", onValue((value) => value !== undefined)],
  ["none", onValue((value) => value === null)],
  ["safe", isSafe],
  ["escaped", isSafe],
  ["boolean", ofKind("bool")],
  ["number", ofKind("number")],
  ["string", ofKind("string")],
  ["sequence", ofKind("sequence")],
  ["mapping", ofKind("map")],
  ["iterable", onValue((value, { budget }) => itemsOf(value, budget) !== undefined)],
  ["integer", onValue(isInteger)],
  ["int", onValue(isInteger)],
  ["float", onValue((value) => value instanceof JsonFloat)],
  ["true", onValue((value) => value === true)],
  ["false", onValue((value) => value === false)],
  ["odd", onValue((value) => hasParity(value, 1n))],
  ["even", onValue((value) => hasParity(value, 0n))],
  ["divisibleby", onTwo(isDivisible)],
  ["startingwith", onTexts((text, other) => text.startsWith(other))],
  ["endingwith", onTexts((text, other) => text.endsWith(other))],
  ["lower", onExactText((text) => /^\p{Lowercase}*$/u.test(text))],
  ["upper", onExactText((text) => /^\p{Uppercase}*$/u.test(text))],
  ["filter", onExactText((name, render) => render.filters.has(name))],
  ["test", onExactText((name, render) => render.tests.has(name))],
  ["sameas", onTwo(isSame)],
  ["in", onTwo(isContained)],
  ["eq", equal],
  ["equalto", equal],
  ["==", equal],
  ["ne", unequal],
  ["!=", unequal],
  ["lt", less],
  ["lessthan", less],
  ["<", less],
  ["le", lessOrEqual],
  ["<=", lessOrEqual],
  ["gt", greater],
  ["greaterthan", greater],
  [">", greater],
  ["ge", greaterOrEqual],
  [">=", greaterOrEqual],
]);
