// Equality and order of values.
//
// Source: minijinja 2.24 value/mod.rs. Equal: by number (1 == 1.0 == true), text, or item by item. Ordered: by kind
// first (true < 0, none < 1), then as numbers, text, or item by item.
import { JsonFloat } from "@mm-router/protocol";
import type { Budget } from "./budget.ts";
import { compareText } from "./code-points.ts";
import { absent, entriesOf, isInteger, kindOf, kinds, lengthOf, listItemsOf, mapMember, memberOf, textOf, type Value } from "./values.ts";

export function areEqual(left: Value, right: Value, budget: Budget): boolean {
  const text = textOf(left);
  if (text !== undefined) return isSameText(text, textOf(right), budget);
  if (left === right) return true;
  const number = numberOf(left);
  if (number !== undefined) {
    const other = numberOf(right);
    // JavaScript compares bigint and number by their exact values, as minijinja does.
    return other !== undefined && number == other; // eslint-disable-line eqeqeq
  }
  return areEqualContainers(left, right, budget);
}

function isSameText(text: string, other: string | undefined, budget: Budget): boolean {
  if (text.length !== other?.length) return false;
  budget.read(text.length);
  return text === other;
}

function areEqualContainers(left: Value, right: Value, budget: Budget): boolean {
  budget.spend();
  const items = listItemsOf(left);
  if (items !== undefined) {
    const others = listItemsOf(right);
    if (others?.length !== items.length) return false;
    return budget.nested(() => items.every((item, index) => areEqual(item, others[index], budget)));
  }
  const entries = entriesOf(left);
  if (entries === undefined || entriesOf(right) === undefined || lengthOf(right) !== entries.length) return false;
  return budget.nested(() => entries.every(([key, value]) => hasMember(right, key, value, budget)));
}

function hasMember(map: Value, key: Value, value: Value, budget: Budget): boolean {
  const member = map instanceof Map ? mapMember(map, key) : memberOf(map, textOf(key) ?? "");
  return member !== absent && areEqual(member, value, budget);
}

/** Negative, zero or positive, as for sort. */
export function compareValues(left: Value, right: Value, budget: Budget): number {
  const byKind = kinds.indexOf(kindOf(left)) - kinds.indexOf(kindOf(right));
  if (byKind !== 0) return byKind;
  const text = textOf(left);
  if (text !== undefined) return orderOfTexts(text, textOf(right) ?? "", budget);
  if (left === right) return 0;
  const number = numberOf(left);
  if (number !== undefined) return compareNumbers(number, numberOf(right) ?? 0);
  return compareContainers(left, right, budget);
}

function orderOfTexts(left: string, right: string, budget: Budget): number {
  budget.read(Math.min(left.length, right.length));
  return compareText(left, right);
}

function compareNumbers(left: number | bigint, right: number | bigint): number {
  if (left < right) return -1;
  if (left > right) return 1;
  // NaN: after all numbers, as in the total order of IEEE 754.
  return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
}

function compareContainers(left: Value, right: Value, budget: Budget): number {
  budget.spend();
  const mine = listItemsOf(left) ?? entriesOf(left)?.flat() ?? [];
  const others = listItemsOf(right) ?? entriesOf(right)?.flat() ?? [];
  return budget.nested(() => {
    for (let i = 0; i < mine.length && i < others.length; i++) {
      const order = compareValues(mine[i], others[i], budget);
      if (order !== 0) return order;
    }
    return mine.length - others.length;
  });
}

function numberOf(value: Value): number | bigint | undefined {
  if (isInteger(value)) return value;
  if (typeof value === "boolean") return Number(value);
  return value instanceof JsonFloat ? value.value : undefined;
}
